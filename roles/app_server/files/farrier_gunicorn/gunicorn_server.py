"""gunicorn's own server for ASGI as the hand-over worker runs it."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

from gunicorn.asgi.protocol import ASGIProtocol

from farrier_gunicorn.application import ServedApplication
from farrier_gunicorn.asgi_server import AsyncioServer
from farrier_gunicorn.event_loop import make_event_loop
from farrier_gunicorn.whole_request import of_whole_requests

__all__ = ["make_event_loop", "make_server"]


class GunicornServer(AsyncioServer):
    """Connections to gunicorn's protocol, which takes this object for the worker.

    Args:
        application: which has started.
        state: for the scope of its requests.
        worker: gunicorn's.
    """

    alive = True
    max_requests = sys.maxsize  # they are counted elsewhere

    def __init__(self, application: ServedApplication, state: dict[str, Any], worker: Any) -> None:
        self.served = application
        self.asgi = of_whole_requests(application)
        self.state = state
        self.cfg = worker.cfg
        self.log = worker.log
        self.loop = asyncio.get_running_loop()
        self.nr = 0
        self.nr_conns = 0

    async def listen(self, listener: socket.socket) -> asyncio.Server:
        """Serve on a socket."""
        return await self.loop.create_server(
            lambda: ASGIProtocol(self), sock=listener, backlog=self.cfg.backlog
        )

    async def close(self) -> None:
        """Nothing to do: connections end with the event loop."""

    @property
    def is_connected(self) -> bool:
        """Whether connections are open."""
        return self.nr_conns > 0


make_server = GunicornServer
