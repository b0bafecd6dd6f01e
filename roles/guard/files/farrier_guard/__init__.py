"""Take back changes that no new connection has confirmed."""
