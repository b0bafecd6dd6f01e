"""What the servers that are libraries have in common: they can be told to accept connections, and not to."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod

from farrier_gunicorn.application import ServedApplication


class AsgiServer(ABC):
    """A server as `AsgiWorker` runs it."""

    served: ServedApplication
    """What it calls."""

    @abstractmethod
    async def accept(self, listeners: list[socket.socket]) -> None:
        """Begin to accept connections, for the first time or again."""

    @abstractmethod
    def stop_accepting(self) -> None:
        """Accept no more; what is connected goes on."""

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """Whether connections are open, idle ones included."""

    @property
    def is_busy(self) -> bool:
        """Whether requests or WebSockets are under way, or what the app does after them."""
        return self.served.is_busy

    @abstractmethod
    async def close(self) -> None:
        """Close what is connected, without waiting for anybody."""


class AsyncioServer(AsgiServer):
    """One whose connections are accepted by asyncio."""

    _servers: tuple[asyncio.Server, ...] = ()

    @abstractmethod
    async def listen(self, listener: socket.socket) -> asyncio.Server:
        """Serve on a socket, which is the server's to close."""

    async def accept(self, listeners: list[socket.socket]) -> None:
        self._servers = tuple([await self.listen(listener.dup()) for listener in listeners])

    def stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
