"""Hypercorn as the hand-over worker runs it."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

from farrier_gunicorn.application import ServedApplication
from farrier_gunicorn.asgi_server import AsyncioServer
from farrier_gunicorn.event_loop import make_event_loop
from farrier_gunicorn.whole_request import of_whole_requests

__all__ = ["make_event_loop", "make_server"]

_CLOSE_SECONDS = 1.0


def make_server(application: ServedApplication, state: dict[str, Any], worker: Any) -> HypercornServer:
    """Return Hypercorn, with gunicorn's settings."""
    config = Config()
    config.keep_alive_timeout = worker.cfg.keepalive
    config.include_server_header = False
    return HypercornServer(application, state, config, worker.cfg.backlog)


class HypercornServer(AsyncioServer):
    """Connections to Hypercorn, each a task."""

    def __init__(
        self, application: ServedApplication, state: dict[str, Any], config: Config, backlog: int
    ) -> None:
        self.served = application
        self._application = ASGIWrapper(of_whole_requests(application))  # type: ignore[arg-type]  # it has a type for every message
        self._state = state
        self._config = config
        self._backlog = backlog
        self._context = WorkerContext(None)
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, listener: socket.socket) -> asyncio.Server:
        """Serve on a socket."""
        return await asyncio.start_server(self._serve, sock=listener, backlog=self._backlog)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            loop = asyncio.get_running_loop()
            await TCPServer(self._application, loop, self._config, self._context, self._state, reader, writer)
        except asyncio.CancelledError:  # at the end; asyncio would log it as an error of its own
            pass
        finally:
            self._connections.discard(task)

    async def close(self) -> None:
        """Idle connections are closed in turn, others are cut."""
        await self._context.terminated.set()
        if self._connections:
            await asyncio.wait(self._connections, timeout=_CLOSE_SECONDS)

    @property
    def is_connected(self) -> bool:
        """Whether connections are open."""
        return bool(self._connections)
