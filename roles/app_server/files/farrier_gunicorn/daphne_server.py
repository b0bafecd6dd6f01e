"""Daphne as the hand-over worker runs it. Its own timers and connections are those of Twisted's reactor."""

from __future__ import annotations

import asyncio
import copy
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

# First of all: it chooses Twisted's reactor.
from daphne.server import Server  # isort: skip
from daphne.http_protocol import HTTPFactory
from daphne.ws_protocol import WebSocketFactory
from twisted.internet import reactor
from twisted.logger import globalLogBeginner

from farrier_gunicorn.answer import Message, Send
from farrier_gunicorn.application import ServedApplication
from farrier_gunicorn.asgi_server import AsgiServer


def make_event_loop() -> asyncio.AbstractEventLoop:
    """Return the one of Twisted's reactor, which the import of Daphne has chosen."""
    loop: asyncio.AbstractEventLoop = reactor._asyncioEventloop
    return loop


def make_server(application: ServedApplication, state: dict[str, Any], worker: Any) -> DaphneServer:
    """Return Daphne, with gunicorn's settings."""
    return DaphneServer(application, state, worker.cfg.keepalive)


class DaphneServer(Server, AsgiServer):
    """Connections to Daphne, whose reactor runs while the event loop does."""

    def __init__(self, application: ServedApplication, state: dict[str, Any], keepalive_seconds: int) -> None:
        # The endpoints are not looked at where run() is not called.
        super().__init__(partial(_serve, application, state), endpoints=["none"], server_name="")
        self.served = application
        globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
        self.connections: dict[Any, Any] = {}
        self.http_factory = HTTPFactory(self)
        self.http_factory.timeOut = keepalive_seconds
        self.ws_factory = WebSocketFactory(self, server="")
        self.ws_factory.setProtocolOptions(
            autoPingTimeout=self.ping_timeout,
            allowNullOrigin=True,
            openHandshakeTimeout=self.websocket_handshake_timeout,
            # Daphne 4.1 has no limits.
            maxMessagePayloadSize=getattr(self, "websocket_max_message_size", 0),
            maxFramePayloadSize=getattr(self, "websocket_max_frame_size", 0),
        )
        self._listeners: list[socket.socket] = []
        self._connections: list[Any] = []

    async def accept(self, listeners: list[socket.socket]) -> None:
        """Begin to accept connections, for the first time or again.

        Not by a port of Twisted's, which would change the mode of systemd's socket, and remove it at its end.
        """
        if not self._listeners:
            reactor.startRunning(installSignalHandlers=False)
            self.application_checker()
            self.timeout_checker()
        self._listeners = listeners
        for listener in listeners:
            asyncio.get_running_loop().add_reader(listener.fileno(), self._connect, listener)

    def stop_accepting(self) -> None:
        """Accept no more; what is connected goes on."""
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener.fileno())

    async def close(self) -> None:
        """Close everything."""
        for connection in self._connections:
            connection.abortConnection()

    def _connect(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):  # another worker was quicker, or it has gone
            connection, _ = listener.accept()
            with connection:
                connection.setblocking(False)
                self._connections.append(
                    reactor.adoptStreamConnection(connection.fileno(), connection.family, self.http_factory)
                )

    @property
    def is_connected(self) -> bool:
        """Whether connections are open."""
        self._connections = [connection for connection in self._connections if connection.connected]
        return bool(self._connections)


async def _serve(
    application: ServedApplication,
    state: dict[str, Any],
    *,
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: partial[Awaitable[None]],
) -> None:
    scope["state"] = copy.copy(state)
    protocol, *_ = send.args
    if scope["type"] == "websocket":
        await application(scope, receive, partial(_send_to_websocket, protocol, send))
        return
    await application(scope, receive, send)
    if not protocol.finished and protocol.channel is not None:
        # Daphne would leave the client waiting for the rest.
        protocol.channel.loseConnection()


async def _send_to_websocket(protocol: Any, send: Send, message: Message) -> None:
    code = message.get("code")
    if message["type"] == "websocket.close" and code and protocol.state == protocol.STATE_OPEN:
        # Autobahn would refuse most of the codes that there are.
        protocol.sendCloseFrame(code=code)
        return
    await send(message)
