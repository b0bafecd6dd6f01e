"""One HTTP/1.1 connection: one request at a time, never repeated, and exact about how it ended.

Client libraries repeat requests on their own (aiohttp does so for GET, PUT and DELETE on a connection that
turns out closed), which would hide the very failures this harness is for. So the connection is built here, on
asyncio and httptools, the parser that uvicorn itself uses.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import cast

import httptools

from .addresses import first_to_connect
from .failures import ClosedWhileIdle, Failure, Kind
from .target import Target

AWAY_SECONDS = 5.0
"""An edge that gives nobody a TLS session within this time has gone away."""


@dataclass(slots=True)
class Answer:
    """A complete answer; `body` stays empty when the caller took the body piece by piece."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)

    @property
    def release(self) -> str:
        """The release id that the X-Release header names, or an empty string."""
        return self.headers.get("x-release", "")


@dataclass(slots=True)
class _Exchange:
    """A request on its way, and what has come of its answer."""

    result: asyncio.Future[Answer]
    written_at: float
    progress_at: float
    on_body: Callable[[bytes], None] | None
    answer: Answer = field(default_factory=Answer)
    received_bytes: int = 0
    complete: bool = False


class Connection(asyncio.Protocol):
    """A connection to the target. Make it with `Connection.open`."""

    def __init__(self, address: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: _Exchange | None = None
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._answered = 0
        self._idle_since = monotonic()
        self._written = False
        self.address = address
        """Where it goes to."""
        self.closing_announced = False
        """True once an answer has said that it is the last one on this connection."""
        self.idle_failure: Failure | None = None
        """Set when something happened between two requests that no server should do."""

    @classmethod
    async def open(cls, target: Target, addresses: Sequence[str], *, timeout_seconds: float) -> Connection:
        """Connect to the first of these addresses that answers, with TLS where the target has it.

        Raises:
            Failure: kind REFUSED when that does not succeed within `timeout_seconds`.
        """

        async def connect(address: str) -> Connection:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: cls(address),
                address,
                target.port,
                ssl=target.tls,
                server_hostname=target.host if target.tls else None,
            )
            return connection

        return await first_to_connect(addresses, connect, timeout_seconds=timeout_seconds)

    @property
    def lost_before_use(self) -> bool:
        """Whether the server has ended it, in whatever way, before anything was written."""
        idle = self.idle_failure
        return self._ended and not self._written and (idle is None or idle.kind is Kind.IDLE_RESET)

    # What the caller does

    async def request(
        self,
        head: bytes,
        body: bytes = b"",
        *,
        timeout_seconds: float,
        on_body: Callable[[bytes], None] | None = None,
    ) -> Answer:
        """Write one request and wait for its whole answer.

        Args:
            head: request line and headers, see `request_head`.
            body: the request's body.
            timeout_seconds: the longest time without a further byte of the answer.
            on_body: takes the answer's body piece by piece instead of collecting it.

        Raises:
            ClosedWhileIdle: the server closed before anything was written; nothing was lost.
            Failure: the request was written, wholly or in part, and has no complete answer.
        """
        await self._look_before_writing()
        assert self._transport is not None
        now = monotonic()
        self._exchange = exchange = _Exchange(self._loop.create_future(), now, now, on_body)
        self._written = True
        self._transport.write(head + body)
        self._watch(exchange, timeout_seconds)
        try:
            return await exchange.result
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._exchange = None
            self._idle_since = monotonic()

    def close(self) -> None:
        """Close without waiting; a request under way gets what has come of its answer."""
        exchange = self._exchange
        if exchange is not None and not exchange.result.done():
            exchange.result.set_result(exchange.answer)
        self._ended = True
        if self._transport is not None:
            self._transport.close()

    async def _look_before_writing(self) -> None:
        """Let the loop read what has been sent already: a close must be seen before anything is written."""
        while not self._ended and self._poll.poll(0):
            await asyncio.sleep(0)
        if self._ended and self._answered == 0 and self.idle_failure is None:
            raise Failure(Kind.UNANSWERED, "a new connection was closed before its first request")
        if self._ended or self.idle_failure is not None:
            self.close()
            raise ClosedWhileIdle

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self._fail(Kind.PROTOCOL, f"bytes that nobody asked for: {data[:80]!r}")
            return
        exchange.received_bytes += len(data)
        exchange.progress_at = monotonic()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            # The parser wraps what a callback raised; the consumer's own verdict goes first.
            cause = error.__context__
            if isinstance(cause, Failure):
                self._fail(cause.kind, cause.detail)
            else:
                self._fail(Kind.PROTOCOL, f"{error}: {data[:80]!r}")
            return
        if exchange.complete and not exchange.result.done():
            self._answered += 1
            exchange.result.set_result(exchange.answer)

    def eof_received(self) -> None:
        self._end("closed")

    def connection_lost(self, error: Exception | None) -> None:
        if error is None or isinstance(error, ssl.SSLError):
            self._end("closed")
        elif not self._ended and (self._exchange is None or self._exchange.complete):
            self._fail(Kind.IDLE_RESET, f"{error} after {self._idle_seconds():.3f} s of idling")
        else:
            self._end(f"{type(error).__name__}: {error}")

    # What the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._exchange is not None:
            self._exchange.answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._exchange is not None:
            self._exchange.answer.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.on_body is not None and exchange.answer.status == 200:
            exchange.on_body(data)
        else:
            exchange.answer.body += data

    def on_message_begin(self) -> None:
        if self._exchange is not None and self._exchange.complete:
            raise Failure(Kind.PROTOCOL, "a second answer to one request")

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.answer.status < 200:
            exchange.answer = Answer()
            return
        exchange.complete = True
        self.closing_announced = not self._parser.should_keep_alive()

    # How it ends

    def _end(self, how: str) -> None:
        """The server has ended the connection: idle, before an answer, or within one."""
        if self._ended:
            return
        self._ended = True
        exchange = self._exchange
        if exchange is None or exchange.complete:
            return
        waited_ms = (monotonic() - exchange.written_at) * 1000
        if exchange.received_bytes:
            came = f"{exchange.received_bytes} bytes of an answer"
            self._fail(Kind.TRUNCATED, f"{how} {waited_ms:.1f} ms after the request, with {came}")
            return
        if self._answered:
            idle_ms = self._idle_seconds(exchange) * 1000
            before = f"reused connection ({self._answered} answers, then idle for {idle_ms:.1f} ms)"
        else:
            before = "new connection"
        self._fail(Kind.UNANSWERED, f"{how} {waited_ms:.1f} ms after the request was written, {before}")

    def _fail(self, kind: Kind, detail: str) -> None:
        exchange = self._exchange
        self._ended = True
        if exchange is None or exchange.result.done():
            self.idle_failure = self.idle_failure or Failure(kind, detail)
        else:
            answer = exchange.answer
            exchange.result.set_exception(Failure(kind, detail, answer.status, answer.release))
        if self._transport is not None:
            self._transport.abort()

    def _watch(self, exchange: _Exchange, timeout_seconds: float) -> None:
        remaining_seconds = exchange.progress_at + timeout_seconds - monotonic()
        if remaining_seconds > 0:
            self._timer = self._loop.call_later(remaining_seconds, self._watch, exchange, timeout_seconds)
        elif not exchange.result.done():
            self._fail(
                Kind.TIMEOUT,
                f"nothing for {timeout_seconds:g} s, {exchange.received_bytes} bytes before that",
            )

    def _idle_seconds(self, exchange: _Exchange | None = None) -> float:
        return (exchange.written_at if exchange else monotonic()) - self._idle_since


async def has_gone_away(target: Target, address: str) -> bool:
    """Tell whether no connection to this address of the target can be made any more."""
    try:
        connection = await Connection.open(target, [address], timeout_seconds=AWAY_SECONDS)
    except Failure:
        return True
    connection.close()
    return False


def request_head(
    method: str, path: str, authority: str, body: bytes | None = None, media_type: str = ""
) -> bytes:
    """Return request line and headers of a request, with the framing of `body` unless that is None."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {authority}", "User-Agent: farrier-load", "Accept: */*"]
    if body is not None:
        lines += [f"Content-Length: {len(body)}", f"Content-Type: {media_type}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
