"""Email warmup scheduling: a daemon, an admin CLI and a metrics export."""

__version__ = "0.1.0"
