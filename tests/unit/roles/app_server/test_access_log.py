"""Lines reach the journal soon and in order, and a journal that takes none stops nobody."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from farrier_gunicorn.access_log import AccessLog

LET_GO_SECONDS = 10.0


@pytest.fixture
def journal() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of what systemd gives a service as its standard output."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        # Who waits for the journal would do so for ever: it is let go, and fails by the time that it took.
        end = threading.Timer(LET_GO_SECONDS, theirs.shutdown, [socket.SHUT_RDWR])
        end.start()
        yield ours, theirs
        end.cancel()


def read_all(theirs: socket.socket) -> list[dict[str, object]]:
    """The lines that have come."""
    data = b""
    theirs.setblocking(False)
    try:
        while part := theirs.recv(65536):
            data += part
    except BlockingIOError:
        pass
    return [json.loads(line) for line in data.splitlines()]


def write_and_close(descriptor: int, *entries: dict[str, object]) -> float:
    """Write lines as a worker that ends; returns the seconds that the end took."""

    async def serve() -> float:
        log = AccessLog(descriptor)
        for entry in entries:
            log.write(entry)
        began = time.monotonic()
        log.close()
        return time.monotonic() - began

    return asyncio.run(serve())


def test_lines_are_sent_by_themselves(journal: tuple[socket.socket, socket.socket]) -> None:
    """In order, and without anybody asking for it."""
    ours, theirs = journal

    async def serve() -> None:
        log = AccessLog(ours.fileno())
        for number in range(3):
            log.write({"n": number})
        await asyncio.sleep(0.3)

    asyncio.run(serve())
    assert read_all(theirs) == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_journal_that_stands_still_stops_nobody(journal: tuple[socket.socket, socket.socket]) -> None:
    """Its lines wait, up to a bound; what was lost is said, and nothing arrives in pieces."""
    ours, theirs = journal

    async def serve() -> list[dict[str, object]]:
        log = AccessLog(ours.fileno())
        began = time.monotonic()
        for number in range(2000):
            log.write({"n": number, "path": "x" * 1000})
        await asyncio.sleep(0.3)
        assert time.monotonic() - began < 2
        theirs.setblocking(False)
        data = b""
        while not data.endswith(b'"n": -1}\n'):
            try:
                data += theirs.recv(1_000_000)
            except BlockingIOError:
                if data.endswith(b"\n"):
                    log.write({"n": -1})
                await asyncio.sleep(0.15)
        return [json.loads(line) for line in data.splitlines()]

    *arrived, lost, last = asyncio.run(asyncio.wait_for(serve(), 20))
    assert [line["n"] for line in arrived] == list(range(len(arrived)))
    assert 900 <= len(arrived) < 2000
    assert lost["lost_lines"] == 2000 - len(arrived)
    assert last == {"n": -1}


def test_the_last_lines_are_sent_at_the_end(journal: tuple[socket.socket, socket.socket]) -> None:
    """A worker that ends has a tenth of a second's lines left."""
    ours, theirs = journal
    write_and_close(ours.fileno(), {"n": 0})
    assert read_all(theirs) == [{"n": 0}]


def test_the_end_does_not_wait_for_a_journal_that_stands_still(
    journal: tuple[socket.socket, socket.socket],
) -> None:
    """A second is all that it gets."""
    ours, _ = journal
    assert 0.9 < write_and_close(ours.fileno(), *[{"path": "x" * 1000}] * 900) < 5


def test_nobody_listens(journal: tuple[socket.socket, socket.socket]) -> None:
    """journald was stopped."""
    ours, theirs = journal
    theirs.close()
    write_and_close(ours.fileno(), {"n": 0})


def test_the_descriptor_is_left_as_it_was(journal: tuple[socket.socket, socket.socket]) -> None:
    """The app prints to it too, and would fail if it did not wait."""
    ours, _ = journal
    write_and_close(ours.fileno(), {"n": 0})
    assert os.get_blocking(ours.fileno())
