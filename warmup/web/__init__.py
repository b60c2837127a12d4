"""The daemon's doors: pages, JSON API, metrics and health."""
