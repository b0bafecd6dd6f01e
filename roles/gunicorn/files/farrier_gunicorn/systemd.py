"""systemd's notification protocol, as far as the master speaks it."""

from __future__ import annotations

import socket
from contextlib import suppress


def notify(address: str, message: str) -> None:
    """Send `message` to the service manager. It may be gone or busy; that is no reason to stop serving."""
    lines = "\n".join(line[:300] for line in message.splitlines())
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.setblocking(False)
        sender.connect("\0" + address[1:] if address.startswith("@") else address)
        sender.sendall(lines.encode())
