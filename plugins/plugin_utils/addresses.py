"""Addresses as they are written down."""

from __future__ import annotations


def endpoint(address: str, port: int) -> str:
    """Write an IP address and a port as nginx, systemd and URLs have them."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
