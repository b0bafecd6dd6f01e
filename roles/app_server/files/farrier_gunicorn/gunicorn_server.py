"""gunicorn's own server for ASGI as the hand-over worker runs it."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol

from farrier_gunicorn.application import ServedApplication
from farrier_gunicorn.event_loop import make_event_loop

__all__ = ["make_event_loop", "make_server"]


class GunicornServer:
    """Connections to gunicorn's protocol, which takes this object for the worker.

    Args:
        application: which has started.
        state: for the scope of its requests.
        worker: gunicorn's.
    """

    alive = True
    max_requests = sys.maxsize  # they are counted elsewhere

    def __init__(self, application: ServedApplication, state: dict[str, Any], worker: Any) -> None:
        self.asgi = application
        self.state = state
        self.cfg = worker.cfg
        self.log = worker.log
        self.loop = asyncio.get_running_loop()
        self.nr = 0
        self.nr_conns = 0
        self._servers: list[asyncio.Server] = []

    async def accept(self, listeners: list[socket.socket]) -> None:
        """Begin to accept connections, for the first time or again."""
        self._servers = [
            await self.loop.create_server(
                lambda: ASGIProtocol(self), sock=listener.dup(), backlog=self.cfg.backlog
            )
            for listener in listeners
        ]

    def stop_accepting(self) -> None:
        """Accept no more; what is connected goes on."""
        for server in self._servers:
            server.close()

    async def close(self) -> None:
        """Nothing to wait for: connections end with the event loop."""

    @property
    def is_busy(self) -> bool:
        """Whether requests or WebSockets are under way."""
        return self.asgi.is_busy

    @property
    def is_connected(self) -> bool:
        """Whether connections are open."""
        return self.nr_conns > 0

    async def tick(self, counter: int) -> None:
        """There is nothing to do now and then."""


make_server = GunicornServer
