"""WebSockets that end by a handshake: the client is told to reconnect, and is not cut off while it sends.

A socket that is closed right after the close frame may take that frame with it: a proxy that is about to pass
a message on finds the socket gone, and gives up before it has read what came from there.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

SERVICE_RESTART = 1012
# A proxy has more idle connections to a worker that drains: a client that comes back at once may get one.
OPEN_AT_LEAST_SECONDS = 1.0


class WebSocket:
    """One WebSocket on its way from the app."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._opened_at: float | None = None
        self._has_ended = False

    @property
    def is_to_end(self) -> bool:
        """Whether the app has accepted it a moment ago, and nobody has closed it."""
        if self._opened_at is None or self._has_ended:
            return False
        return time.monotonic() - self._opened_at >= OPEN_AT_LEAST_SECONDS

    async def send(self, message: Message) -> None:
        """Pass a message on.

        Raises:
            OSError: it was ended, which is to the app as if the client had gone.
        """
        if self._has_ended:
            raise OSError("the WebSocket was closed because the service restarts")
        if message["type"] == "websocket.close":
            self._opened_at = None
        await self._send(message)
        if message["type"] == "websocket.accept":
            self._opened_at = time.monotonic()

    async def end(self) -> None:
        """Close with 1012 if it is open; uvicorn waits for the client's answer, and tells the app."""
        if self.is_to_end:
            self._has_ended = True
            with suppress(OSError):  # the client has gone first
                await self._send({"type": "websocket.close", "code": SERVICE_RESTART})
