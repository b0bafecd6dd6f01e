"""Backups of what apps keep on this host, their restore, and the repositories on the host that holds them."""
