"""systemd's notification protocol, as far as the master speaks it."""

from __future__ import annotations

import socket
from contextlib import suppress

_CONDITION_CHARACTERS = 300


def notify(address: str, condition: str, *, ready: bool = False) -> None:
    """Tell the service manager at `address` how the service is, in one line, and whether it is ready.

    The manager may be gone or busy; that is no reason to stop serving.
    """
    # Of an error's text no line may pass for an assignment of its own.
    line = " ".join(condition.split())[:_CONDITION_CHARACTERS]
    message = f"STATUS={line}\n" + ("READY=1\n" if ready else "")
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.setblocking(False)
        sender.connect("\0" + address[1:] if address.startswith("@") else address)
        sender.sendall(message.encode())
