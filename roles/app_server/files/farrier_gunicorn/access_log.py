"""The access log: JSON lines on standard output, sent a few times a second and never waited for.

systemd connects standard output to the journal by a socket. A journal that is slow fills it, and a worker
that wrote to it line by line would stand still with all of its requests. One that is not slow costs a third
of the throughput that way.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import stat
import time
from collections.abc import Mapping
from typing import Any

_EVERY_SECONDS = 0.1
# What waits while the journal does not take it; lines beyond that are lost and counted.
_WAITING_BYTES_MOST = 1_000_000
_LAST_WORDS_SECONDS = 1.0


class AccessLog:
    """Lines of one worker. Used within its event loop.

    Args:
        descriptor: file descriptor to write to; anything but a socket is written to as it is.
    """

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._waiting = bytearray()
        self._lost = 0
        self._timer: asyncio.TimerHandle | None = None

    def write(self, entry: Mapping[str, Any]) -> None:
        """Note one line, to be sent within a tenth of a second."""
        if len(self._waiting) > _WAITING_BYTES_MOST:
            self._lost += 1
        else:
            if self._lost:
                self._waiting += json.dumps({"time": entry.get("time"), "lost_lines": self._lost}).encode()
                self._waiting += b"\n"
                self._lost = 0
            self._waiting += json.dumps(entry).encode() + b"\n"
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY_SECONDS, self._send_in_time)

    def close(self) -> None:
        """Send what is left, for which the journal gets a second."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._send(patience_seconds=_LAST_WORDS_SECONDS)

    def _send_in_time(self) -> None:
        self._timer = None
        self._send(patience_seconds=0)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(_EVERY_SECONDS, self._send_in_time)

    def _send(self, *, patience_seconds: float) -> None:
        """Send what the journal takes; the rest waits."""
        try:
            if stat.S_ISSOCK(os.fstat(self._descriptor).st_mode):
                self._send_to_socket(time.monotonic() + patience_seconds)
            else:
                os.write(self._descriptor, self._waiting)
                self._waiting.clear()
        except OSError:  # nobody listens any more, which must not fail a request
            self._waiting.clear()

    def _send_to_socket(self, deadline: float) -> None:
        # Each call by itself does not wait: the descriptor is shared with whatever else prints to it.
        with socket.socket(fileno=os.dup(self._descriptor)) as journal:
            poll = select.poll()
            poll.register(journal, select.POLLOUT)
            while self._waiting:
                try:
                    del self._waiting[: journal.send(self._waiting, socket.MSG_DONTWAIT)]
                except BlockingIOError:
                    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                        return
