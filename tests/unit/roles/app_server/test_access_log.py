"""Lines reach the journal soon and in order, and a journal that takes none stops nobody."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from farrier_gunicorn import access_log
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


def write_and_close(descriptor: int, *entries: dict[str, object], journal: str = "/nowhere") -> float:
    """Write lines as a worker that ends; returns the seconds that the end took."""

    async def serve() -> float:
        log = AccessLog("app", descriptor, journal)
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
        log = AccessLog("app", ours.fileno())
        for number in range(3):
            log.write({"n": number})
        await asyncio.sleep(0.3)

    asyncio.run(serve())
    assert read_all(theirs) == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_journal_that_stands_still_stops_nobody(
    journal: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines wait, up to a bound; what was lost is said, and nothing arrives in pieces."""
    ours, theirs = journal
    monkeypatch.setattr(access_log, "_WAITING_BYTES_MOST", 1_000_000)

    async def serve() -> list[dict[str, object]]:
        log = AccessLog("app", ours.fileno())
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
                if not log.is_waiting:
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


def write_in_a_process(descriptor: int, identifier: str, number: int, journal: str = "") -> int:
    """Write lines as one worker of several does; its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    with suppress(BaseException):  # nothing of the tests is to run in here

        async def serve() -> None:
            log = AccessLog(identifier, descriptor, journal or "/nowhere")
            for n in range(number):
                log.write({"worker": identifier, "n": n, "path": "x" * (n * 37 % 1500)})
                if n % 100 == 0:
                    await asyncio.sleep(0.01)
            while log.is_waiting:
                await asyncio.sleep(0.05)
            log.close()

        asyncio.run(asyncio.wait_for(serve(), 60))
        code = 0
    os._exit(code)


def read_slowly(theirs: socket.socket) -> bytes:
    """What comes until the other end is closed, with a pause after each piece."""
    data = b""
    while part := theirs.recv(50_000):
        data += part
        time.sleep(0.002)
    return data


def test_workers_that_share_a_slow_journal_do_not_mix_their_lines() -> None:
    """Each begins its turn with the beginning of a line and ends it with an end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pids = [write_in_a_process(ours.fileno(), name, 4000) for name in "abc"]
        ours.close()
        lines = [json.loads(line) for line in read_slowly(theirs).splitlines()]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0, 0, 0]
    for name in "abc":
        numbers = [line["n"] for line in lines if line.get("worker") == name]
        assert numbers == sorted(numbers)
    lost = sum(line.get("lost_lines", 0) for line in lines)
    assert len([line for line in lines if "n" in line]) + lost == 12_000


class Journald:
    """systemd's journal, as far as streams are concerned: a header of seven lines, then lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.streams: list[bytes] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(2)

    def serve(self, streams: int) -> None:
        """Take so many streams, and read each to its end."""

        def read(number: int) -> None:
            stream, _ = self.listener.accept()
            with stream:
                self.streams.append(read_slowly(stream))

        with ThreadPoolExecutor() as pool:
            list(pool.map(read, range(streams)))


@pytest.fixture
def journald(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Journald, int]]:
    """It, and the standard output that it has given to a service."""
    journald = Journald(tmp_path / "stdout")
    ours, theirs = socket.socketpair()
    with journald.listener, ours, theirs:
        found = os.fstat(ours.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        yield journald, ours.fileno()
        assert read_all(theirs) == []


def test_each_worker_has_a_stream_of_its_own_in_the_journal(journald: tuple[Journald, int]) -> None:
    """What the app prints, or another worker, cannot get into its lines."""
    server, descriptor = journald
    pids = [write_in_a_process(descriptor, name, 2000, str(server.path)) for name in "ab"]
    server.serve(2)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0, 0]
    for stream in server.streams:
        *header, entries = stream.split(b"\n", 7)
        assert header[0] in (b"a", b"b")
        assert header[1:] == [b"", b"6", b"0", b"0", b"0", b"0"]
        lines = [json.loads(line) for line in entries.splitlines()]
        assert {line["worker"] for line in lines if "worker" in line} == {header[0].decode()}
        assert sum(line.get("lost_lines", 1) for line in lines) == 2000


def test_a_journal_that_was_restarted_gets_whole_lines(journald: tuple[Journald, int]) -> None:
    """The line in the middle of which it ended is lost, and counted."""
    server, descriptor = journald

    async def serve() -> None:
        log = AccessLog("a", descriptor, str(server.path))
        for n in range(2000):
            log.write({"n": n, "path": "x" * 400})
        await asyncio.sleep(0.2)
        stream, _ = server.listener.accept()
        stream.recv(1001)
        stream.close()
        await asyncio.sleep(0.2)
        reading = asyncio.create_task(asyncio.to_thread(server.serve, 1))
        while log.is_waiting:
            await asyncio.sleep(0.05)
        log.write({"n": "last"})
        log.close()
        await reading

    asyncio.run(asyncio.wait_for(serve(), 30))
    lines = [json.loads(line) for line in server.streams[0].splitlines()[7:]]
    assert lines[-1] == {"n": "last"}
    assert {"lost_lines": 1} in [{key: line[key] for key in line if key == "lost_lines"} for line in lines]
    assert 1000 < len(lines) < 2000


def test_without_the_journals_socket_lines_go_to_standard_output(
    journal: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A sandbox may hide it."""
    ours, theirs = journal
    found = os.fstat(ours.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    write_and_close(ours.fileno(), {"n": 0}, journal=str(tmp_path / "missing"))
    assert read_all(theirs) == [{"n": 0}]


def test_a_journal_that_accepts_nobody_stops_nobody(journald: tuple[Journald, int]) -> None:
    """Its queue of connections is full, and connecting would wait."""
    server, descriptor = journald
    with ExitStack() as stack:
        for _ in range(5):
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(str(server.path))
        seconds = write_and_close(descriptor, {"n": 0}, journal=str(server.path))
    assert seconds < 3


def test_the_descriptor_is_left_as_it_was(journal: tuple[socket.socket, socket.socket]) -> None:
    """The app prints to it too, and would fail if it did not wait."""
    ours, _ = journal
    write_and_close(ours.fileno(), {"n": 0})
    assert os.get_blocking(ours.fileno())


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "1970-01-01T00:00:00.000+00:00"),
        (1_790_000_000.007, "2026-09-21T14:13:20.007+00:00"),
        (1_790_000_000.999, "2026-09-21T14:13:20.999+00:00"),
        (1_790_000_001.0, "2026-09-21T14:13:21.000+00:00"),
    ],
)
def test_the_time_of_a_line_is_utc(monkeypatch: pytest.MonkeyPatch, seconds: float, expected: str) -> None:
    """The second is formatted once, the milliseconds for each line."""
    monkeypatch.setattr(time, "time_ns", lambda: round(seconds * 1_000_000_000))
    assert access_log.timestamp() == expected
