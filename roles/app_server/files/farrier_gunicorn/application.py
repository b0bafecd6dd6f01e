"""What the worker puts around the app: the access log, and `connection: close` on a last answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping, Sequence
from typing import Any

from farrier_gunicorn.access_log import AccessLog, entry
from farrier_gunicorn.answer import Answer, ClientGoneError, Message, Send
from farrier_gunicorn.event_stream import EventStream, is_event_stream
from farrier_gunicorn.websocket import WebSocket

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Application = Callable[[Scope, Receive, Send], Awaitable[Any]]

_logger = logging.getLogger("uvicorn.error")
_CONNECTION_CLOSE = (b"connection", b"close")
_UNBUFFERED = (b"x-accel-buffering", b"no")


class ServedApplication:
    """The app as the server calls it.

    Args:
        application: the app's own.
        release: id of its release.
        access_log: of the worker.
        headers: to be added to every answer.
    """

    def __init__(
        self,
        application: Application,
        release: str,
        access_log: AccessLog,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self._application = application
        self._release = release
        self._headers = list(headers)
        self.access_log = access_log
        self.closing = False
        """Whether answers ask the proxy not to use the connection again."""
        self.startup_failure: str | None = None
        """What the app said of its start-up, when that failed."""
        self.requests = 0
        """How many there have been, WebSockets included."""
        self._under_way = 0
        self._event_streams: set[EventStream] = set()
        self._websockets: set[WebSocket] = set()
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether requests or WebSockets are under way, or what the app does after them."""
        return self._under_way > 0

    def end_event_streams(self) -> None:
        """End them between two events. Who listens to one asks again, and another worker answers."""
        for stream in self._event_streams:
            if not stream.is_to_end:
                self._begin(stream.end())

    def end_websockets(self) -> None:
        """Close with 1012, "service restart", whatever has finished its handshake."""
        for websocket in self._websockets:
            if websocket.is_to_end:
                self._begin(websocket.end())

    def _begin(self, ending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(ending)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(scope, receive, send)
            return
        self.requests += 1
        self._under_way += 1
        try:
            if kind == "http":
                await self._serve_request(scope, receive, send)
            else:
                await self._serve_websocket(scope, receive, send)
        finally:
            self._under_way -= 1

    async def _serve_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        answer = Answer(send, scope["method"], self._announce, getattr(send, "__self__", None))
        try:
            result = await self._application(scope, receive, answer.send)
            await answer.end()
            if result is not None:
                _logger.error("The app returned %s instead of None, %s", type(result), _request(scope))
            if answer.status is None and not answer.client_has_gone:
                raise RuntimeError("The app returned without an answer")
        except BaseException as error:
            # The server would close the connection, which may be another request's by now.
            was_ended = answer.event_stream is not None and answer.event_stream.has_ended
            if not was_ended and not isinstance(error, ClientGoneError):
                _logger.error("Exception in ASGI application, %s", _request(scope), exc_info=error)
                await answer.fail()
        finally:
            if answer.event_stream:
                self._event_streams.discard(answer.event_stream)
            self._log(scope, scope["method"], answer.status, started)

    def _announce(self, answer: Answer, header: Message) -> Message:
        """Return a header with what is to be said of the connection."""
        headers = header.get("headers", ())
        if is_event_stream(headers):
            answer.event_stream = EventStream(answer.send_body)
            self._event_streams.add(answer.event_stream)
            answer.send_body = answer.event_stream.send
        added = self._headers.copy()
        # Made piece by piece: nginx passes each piece on at once, also when it compresses.
        if answer.is_of_unknown_length and not _says_buffering(headers):
            added.append(_UNBUFFERED)
        # An event stream may end just before the worker does, which would cut the next answer.
        if self.closing or answer.event_stream:
            added.append(_CONNECTION_CLOSE)
        return {**header, "headers": [*headers, *added]} if added else header

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status = 403
        websocket = WebSocket(send)

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.http.response.start":
                status = message["status"]
                # uvicorn closes after a refusal, whatever the app says of the connection.
                headers = [
                    header for header in message.get("headers", ()) if header[0].lower() != b"connection"
                ]
                message = {**message, "headers": [*headers, _CONNECTION_CLOSE]}
            await websocket.send(message)

        self._websockets.add(websocket)
        try:
            await self._application(scope, receive, send_on)
        finally:
            self._websockets.discard(websocket)
            self._log(scope, "WEBSOCKET", status, started)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_on(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                self.startup_failure = message.get("message", "")
            await send(message)

        await self._application(scope, receive, send_on)

    def _log(self, scope: Scope, method: str, status: int | None, started: float) -> None:
        client = scope.get("client")
        address = client[0] if client else None
        self.access_log.write(
            entry(_request_id(scope), address, method, scope["path"], status, started, self._release)
        )


def _says_buffering(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == _UNBUFFERED[0] for name, _ in headers)


def _request(scope: Scope) -> str:
    """The request in words, for the log."""
    return f"request {_request_id(scope)}: {scope['method']} {scope['path']}"


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return str(value, "latin-1")
    return ""
