"""Foreign answers become our words here, and only here."""
