"""The access log: JSON lines for the journal, sent a few times a second and never waited for.

systemd connects standard output to the journal by a socket that all workers share. When the journal is slow,
a worker that wrote to it line by line would stand still with all of its requests, and one that did not wait
would get pieces of its lines between those of others. So each worker opens a stream of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import stat
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

_JOURNAL = "/run/systemd/journal/stdout"
_EVERY_SECONDS = 0.1
# What waits while the journal takes nothing; lines beyond that are lost and counted. As much as systemd lets
# the kernel keep of standard output, and more than a process without privileges can ask for.
_WAITING_BYTES_MOST = 8_000_000
_LAST_WORDS_SECONDS = 1.0
# To a socket that others write to, Linux passes on as much in one piece, or nothing.
_ONE_PIECE_BYTES = 32_000


class AccessLog:
    """Lines of one worker. Used within its event loop.

    Args:
        identifier: what the journal calls the service, as SyslogIdentifier= of its unit says.
        descriptor: standard output, for where that is not the journal, or the journal cannot be reached. To a
            socket it writes without waiting, to anything else as it is.
        journal: path of the socket that the journal takes streams at.
    """

    def __init__(self, identifier: str, descriptor: int = 1, journal: str = _JOURNAL) -> None:
        # By systemd: identifier, unit (which the journal knows), priority "info"; no prefix, no forwarding.
        self._header = f"{identifier}\n\n6\n0\n0\n0\n0\n".encode()
        self._descriptor = descriptor
        self._journal = journal if _is_the_journal(descriptor) else None
        self._stream: socket.socket | None = None
        self._is_within_line = False
        self._waiting = bytearray()
        self._lost = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether there are lines that were not sent yet."""
        return bool(self._waiting)

    def write(self, entry: Mapping[str, Any]) -> None:
        """Note one line, to be sent within a tenth of a second."""
        self._note(entry)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY_SECONDS, self._send_in_time)

    def _note(self, entry: Mapping[str, Any]) -> None:
        if len(self._waiting) > _WAITING_BYTES_MOST:
            self._lost += 1
        else:
            if self._lost:
                self._tell_what_was_lost()
            self._waiting += json.dumps(entry).encode() + b"\n"

    def close(self) -> None:
        """Send what is left, for which the journal gets a second."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lost:
            self._tell_what_was_lost()
        self._send(patience_seconds=_LAST_WORDS_SECONDS)
        self._leave_stream()

    def _tell_what_was_lost(self) -> None:
        self._waiting += json.dumps({"time": timestamp(), "lost_lines": self._lost}).encode() + b"\n"
        self._lost = 0

    def _send_in_time(self) -> None:
        self._timer = None
        self._send(patience_seconds=0)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(_EVERY_SECONDS, self._send_in_time)

    def _send(self, *, patience_seconds: float) -> None:
        """Send what the journal takes; the rest waits."""
        deadline = time.monotonic() + patience_seconds
        if self._stream is None and self._journal:
            try:
                self._stream = self._open_stream(self._journal)
            except BlockingIOError:  # too many others are about to
                return
            except OSError:
                pass
        if self._stream is not None:
            try:
                self._send_to(self._stream, deadline)
            except OSError:  # the journal has ended; the next one gets the rest
                self._leave_stream()
            return
        try:
            if stat.S_ISSOCK(os.fstat(self._descriptor).st_mode):
                with socket.socket(fileno=os.dup(self._descriptor)) as shared:
                    self._send_to(shared, deadline, _ONE_PIECE_BYTES)
            else:
                os.write(self._descriptor, self._waiting)
                self._waiting.clear()
        except OSError:  # nobody listens any more, which must not fail a request
            self._lose(len(self._waiting))

    def _open_stream(self, journal: str) -> socket.socket:
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.setblocking(False)
            stream.connect(journal)
            stream.send(self._header)
        except OSError:
            stream.close()
            raise
        return stream

    def _leave_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        if self._is_within_line:
            self._lose(self._waiting.find(b"\n") + 1)

    def _lose(self, size: int) -> None:
        self._lost += self._waiting.count(b"\n", 0, size)
        del self._waiting[:size]
        self._is_within_line = False

    def _send_to(self, journal: socket.socket, deadline: float, most_bytes: int | None = None) -> None:
        """Send until there is nothing left, or the journal takes nothing and the deadline has passed.

        Args:
            journal: may be shared, so that it is not to be set to return at once; each call by itself does.
            deadline: by the monotonic clock.
            most_bytes: of whole lines to send at a time; None for no limit.
        """
        poll = select.poll()
        poll.register(journal, select.POLLOUT)
        while self._waiting:
            piece: bytes | bytearray = self._waiting
            if most_bytes and len(self._waiting) > most_bytes:
                end = self._waiting.rfind(b"\n", 0, most_bytes) + 1
                piece = self._waiting[: end or self._waiting.find(b"\n") + 1]
            try:
                sent = journal.send(piece, socket.MSG_DONTWAIT)
            except BlockingIOError:
                if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    return
            else:
                self._is_within_line = self._waiting[sent - 1] != ord("\n")
                del self._waiting[:sent]


class ThreadsAccessLog(AccessLog):
    """Lines that many threads note, and one of them sends."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._lock = threading.Lock()

    def write(self, entry: Mapping[str, Any]) -> None:
        """Note one line."""
        with self._lock:
            self._note(entry)

    def send(self) -> None:
        """Send what the journal takes, to be called every now and then."""
        if self._waiting:
            with self._lock:
                self._send(patience_seconds=0)

    def close(self) -> None:
        with self._lock:
            super().close()


def entry(
    request_id: str,
    client: str | None,
    method: str,
    path: str,
    status: int | None,
    started: float,
    release: str,
) -> dict[str, Any]:
    """Return the line of one request. No status: the client went before there was an answer.

    Args:
        request_id: of nginx.
        client: its address.
        method: of the request.
        path: without the query, which may hold what belongs in no log.
        status: of the answer.
        started: by time.perf_counter().
        release: id of the release that answered.
    """
    return {
        "time": timestamp(),
        "request_id": request_id,
        "client": client,
        "method": method,
        "path": path,
        "status": status,
        "duration_ms": round((time.perf_counter() - started) * 1000, 2),
        "release": release,
    }


def timestamp() -> str:
    """Return the time in UTC, to the millisecond, as ISO 8601 has it."""
    second, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    return f"{_date_and_time(second)}.{milliseconds:03}+00:00"


# For every request, where formatting the whole would cost more than the rest of the line.
@lru_cache(maxsize=1)
def _date_and_time(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()


def _is_the_journal(descriptor: int) -> bool:
    """Whether a descriptor is the one that systemd has connected to the journal."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
