"""What servers' words mean, as data: TOML files that policy/blame reads, standards and habits apart."""
