"""Where due work runs."""
