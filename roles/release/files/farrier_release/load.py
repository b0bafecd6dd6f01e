"""Clients that ask one path as fast as they are answered, over a unix socket."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"\r\n0\r\n\r\n"
# For answers that are under way when the time is over.
_PATIENCE_SECONDS = 30


@dataclass
class Load:
    """What the clients have seen.

    Args:
        status: that a good answer has.
        seconds: how long they asked.
        answers: seconds that each good answer took.
        failed: answers with another status, and connections that were cut while an answer was due.
    """

    status: int
    seconds: float = 0.0
    answers: list[float] = field(default_factory=list)
    failed: int = 0


def load(socket: Path, request: bytes, status: int, *, connections: int, seconds: float) -> Load:
    """Send a request again and again, on each connection the next one when the last is answered.

    Args:
        socket: where the server listens.
        request: what to send, without a body; the connection is kept.
        status: that a good answer has.
        connections: how many clients there are.
        seconds: how long they send; what is under way then is waited for, and counts.
    """
    return asyncio.run(_load(socket, request, Load(status), connections, seconds))


async def _load(socket: Path, request: bytes, seen: Load, connections: int, seconds: float) -> Load:
    began = time.monotonic()
    clients = [_client(socket, request, seen, began + seconds) for _ in range(connections)]
    with suppress(TimeoutError, asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.gather(*clients), seconds + _PATIENCE_SECONDS)
    seen.seconds = time.monotonic() - began
    return seen


async def _client(socket: Path, request: bytes, seen: Load, until: float) -> None:
    loop = asyncio.get_running_loop()
    while time.monotonic() < until:
        ended = loop.create_future()
        try:
            await loop.create_unix_connection(partial(_Connection, request, seen, until, ended), str(socket))
        except OSError:
            seen.failed += 1
            await asyncio.sleep(0.05)
            continue
        await ended


class _Connection(asyncio.Protocol):
    """One connection; tells `ended` when it has gone."""

    def __init__(self, request: bytes, seen: Load, until: float, ended: asyncio.Future[None]) -> None:
        self._request, self._seen, self._until, self._ended = request, seen, until, ended
        self._received = bytearray()
        self._is_due = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        if not end or not _is_whole(bytes(head).lower(), body):
            return
        self._answered()
        if time.monotonic() < self._until and b"connection: close" not in head.lower():
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if self._is_due and b"\r\ncontent-length:" not in self._received.lower() and self._received:
            self._answered()  # the end of the connection is the end of the answer
        self._seen.failed += self._is_due
        if not self._ended.cancelled():
            self._ended.set_result(None)

    def _send(self) -> None:
        self._received.clear()
        self._is_due, self._sent_at = True, time.monotonic()
        self._transport.write(self._request)

    def _answered(self) -> None:
        self._is_due = False
        if self._received[:13].split(b" ")[1:2] == [str(self._seen.status).encode()]:
            self._seen.answers.append(time.monotonic() - self._sent_at)
        else:
            self._seen.failed += 1


def _is_whole(head: bytes, body: bytearray) -> bool:
    """Whether all of an answer is here, by its head in lower case."""
    _, named, length = head.partition(b"\r\ncontent-length:")
    if named:
        return len(body) >= int(length.split(b"\r\n", 1)[0])
    if b"\r\ntransfer-encoding:" in head:
        return (b"\r\n" + body).endswith(_LAST_CHUNK)
    return head.split(b" ", 2)[1] in (b"204", b"304")
