"""Events end at an event's boundary and in order, downloads are whole, or it is a failure."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from tests.harness.load.recorder import Recorder
from tests.harness.load.session import Session
from tests.harness.load.streams import download, watch_events

from .servers import kinds, read_request, session_against

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"
END = b"0\r\n\r\n"
Client = Callable[[Session, asyncio.Event], Awaitable[None]]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def tick(number: int, release: str = "r1") -> bytes:
    return f"event: tick\nid: {number}\ndata: {json.dumps({'tick': number, 'release': release})}\n\n".encode()


def stream(client: Client, reply: bytes, *, rows: int = 1, pieces: int = 1) -> Recorder:
    """Answer every request with `reply`, in pieces, and end the connection; stop after so many rows."""
    recorders = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        size = -(-len(reply) // pieces)
        for start in range(0, len(reply), size):
            writer.write(reply[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)

    async def main() -> None:
        async with session_against(behave) as session:
            stopping = asyncio.Event()
            task = asyncio.ensure_future(client(session, stopping))
            async with asyncio.timeout(10):
                while len(session.recorder) < rows:
                    await asyncio.sleep(0.01)
            stopping.set()
            session.give_up()
            await task
            recorders.append(session.recorder)

    uvloop.run(main())
    return recorders[0]


@pytest.mark.parametrize("pieces", [1, 7, 100])
def test_a_stream_that_ends_between_events_is_asked_for_anew(pieces: int) -> None:
    """A clean end is no failure, and counted; however the bytes are cut into packets."""
    reply = HEAD + chunk(b"retry: 1000\n\n") + chunk(tick(1)) + chunk(tick(2)) + END
    recorder = stream(watch_events, reply, rows=2, pieces=pieces)
    assert kinds(recorder) == []
    assert recorder.counters["events_streams_ended_by_server"] >= 1
    assert recorder.counters["events_received"] >= 4


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (HEAD + chunk(tick(1)), "truncated"),
        (HEAD + chunk(tick(1)) + chunk(tick(2)[:-1]) + END, "truncated"),
        (HEAD + END, "truncated"),
        (HEAD + chunk(tick(1)) + chunk(tick(3)) + END, "wrong"),
        (HEAD + chunk(tick(1)) + chunk(tick(2, "r2")) + END, "wrong"),
        (HEAD + chunk(b"data: x\n\n") + END, "wrong"),
    ],
    ids=["no-last-chunk", "half-an-event", "nothing", "one-missing", "two-releases", "no-tick"],
)
def test_a_stream_that_ends_otherwise_is_a_failure(reply: bytes, kind: str) -> None:
    """What a browser would silently reconnect after is told here."""
    assert set(kinds(stream(watch_events, reply))) == {kind}


def test_a_stream_that_is_given_up_at_the_end_of_the_run_is_no_failure() -> None:
    """The client ends it, wherever it is just then."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + chunk(tick(1) + tick(2)[:5]))
        await asyncio.sleep(60)

    async def main() -> None:
        async with session_against(behave) as session:
            stopping = asyncio.Event()
            task = asyncio.create_task(watch_events(session, stopping))
            await asyncio.sleep(0.2)
            stopping.set()
            session.give_up()
            await task
            assert kinds(session.recorder) == []
            assert len(session.recorder) == 1

    uvloop.run(main())


def test_a_stream_that_stalls_is_a_failure() -> None:
    """The timeout counts from the last byte, so that a long stream is fine and a silent one is not."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD)
        for number in range(1, 5):
            writer.write(chunk(tick(number)))
            await asyncio.sleep(0.3)
        await asyncio.sleep(60)

    async def main() -> None:
        async with session_against(behave, timeout_seconds=1) as session:
            stopping = asyncio.Event()
            task = asyncio.create_task(watch_events(session, stopping))
            async with asyncio.timeout(10):
                while not len(session.recorder):
                    await asyncio.sleep(0.01)
            stopping.set()
            session.give_up()
            await task
            assert kinds(session.recorder) == ["timeout"]
            assert session.recorder.counters["events_received"] == 4

    uvloop.run(main())


LINES = [b"%08d r1 " % number + b"." * 4000 + b"\n" for number in range(3)]
LAST = (
    f"complete bytes=12054 sha256={hashlib.sha256(b''.join(LINES)).hexdigest()} release=r1 pid=1\n".encode()
)


@pytest.mark.parametrize("pieces", [1, 5, 60])
def test_a_whole_download_is_right(pieces: int) -> None:
    """However the bytes are cut into packets."""
    body = b"".join(map(chunk, [*LINES, LAST]))
    recorder = stream(download, HEAD + body + END, rows=2, pieces=pieces)
    assert kinds(recorder) == []
    assert recorder.counters["downloads_bytes"] >= 2 * sum(map(len, LINES))


@pytest.mark.parametrize(
    ("parts", "end", "kind"),
    [
        ([*LINES], END, "truncated"),
        ([*LINES, LAST[:40]], END, "truncated"),
        ([*LINES, LAST], b"", "truncated"),
        ([LINES[0], LINES[2], LAST], END, "wrong"),
        ([LINES[0], LINES[1].replace(b"..", b".x", 1), LINES[2], LAST], END, "wrong"),
    ],
    ids=["no-last-line", "half-a-last-line", "no-last-chunk", "a-line-missing", "a-byte-changed"],
)
def test_a_broken_download_is_a_failure(parts: list[bytes], end: bytes, kind: str) -> None:
    """Neither the status nor the framing is enough: the content is compared."""
    assert set(kinds(stream(download, HEAD + b"".join(map(chunk, parts)) + end))) == {kind}
