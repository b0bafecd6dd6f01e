"""Answers that take long on purpose: server-sent events without an end, and downloads of some seconds."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re

from .connection import Answer
from .failures import Failure, Kind
from .recorder import Route
from .session import Session

EVENTS = Route("GET", "/events", long=True)
DOWNLOAD = Route("GET", "/stream?seconds={n}", long=True)

DOWNLOAD_SECONDS = 5
PAUSE_BETWEEN_STREAMS_SECONDS = 0.05

_LAST_LINE = re.compile(rb"complete bytes=(\d+) sha256=([0-9a-f]{64}) ")


class EventStream:
    """Reads server-sent events piece by piece: each must be whole, and the next one in its stream."""

    def __init__(self) -> None:
        self._rest = b""
        self.events = 0
        self._release = ""

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            Failure: kind WRONG, when an event is out of order, or of another release than those before it.
        """
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        for block in blocks:
            self._read(block)

    def finish(self) -> None:
        """The stream has ended.

        Raises:
            Failure: kind TRUNCATED, when it ended within an event or before the first one.
        """
        if self._rest:
            raise Failure(Kind.TRUNCATED, f"the stream ended within an event: {self._rest[-200:]!r}")
        if not self.events:
            raise Failure(Kind.TRUNCATED, "the stream ended before its first event")

    def _read(self, block: bytes) -> None:
        data = [line[len(b"data:") :] for line in block.split(b"\n") if line.startswith(b"data:")]
        if not data:
            return
        try:
            value = json.loads(b"\n".join(data))
            tick, release = value["tick"], value["release"]
        except (ValueError, KeyError, TypeError):
            raise Failure(Kind.WRONG, f"no tick in event {block[:200]!r}") from None
        self.events += 1
        self._release = self._release or release
        if tick != self.events or release != self._release:
            raise Failure(Kind.WRONG, f"event {self.events} of release {self._release} is {block[:200]!r}")


async def watch_events(session: Session, stopping: asyncio.Event) -> None:
    """Follow /events; a stream that the server ends properly is asked for anew, as a browser does."""
    counters = session.recorder.counters
    while not stopping.is_set():
        stream = EventStream()

        def check(_answer: Answer, stream: EventStream = stream) -> None:
            # A stream that this side gives up at the end of the run may stop anywhere.
            if not stopping.is_set():
                stream.finish()

        answer = await session.ask(EVENTS, check=check, on_body=stream.feed)
        counters["events_received"] += stream.events
        if answer is not None and not stopping.is_set():
            counters["events_streams_ended_by_server"] += 1
        await asyncio.sleep(PAUSE_BETWEEN_STREAMS_SECONDS)


async def download(session: Session, stopping: asyncio.Event) -> None:
    """Download again and again; the last line of each says what must have come before it."""
    while not stopping.is_set():
        digest = hashlib.sha256()
        kept = bytearray()

        def take(data: bytes, digest: hashlib._Hash = digest, kept: bytearray = kept) -> None:
            # Only the last line is held back: what is before its newline can be hashed at once.
            kept.extend(data)
            end = kept.rfind(b"\n", 0, -1) + 1
            digest.update(kept[:end])
            session.recorder.counters["downloads_bytes"] += end
            del kept[:end]

        def check(_answer: Answer, digest: hashlib._Hash = digest, kept: bytearray = kept) -> None:
            found = _LAST_LINE.match(kept)
            if found is None:
                raise Failure(
                    Kind.TRUNCATED, f"the download ends without its last line, in {bytes(kept[-80:])!r}"
                )
            if found[2].decode() != digest.hexdigest():
                raise Failure(
                    Kind.WRONG, f"the download's SHA-256 is {digest.hexdigest()}, not {found[2].decode()}"
                )

        await session.ask(DOWNLOAD, path=f"/stream?seconds={DOWNLOAD_SECONDS}", check=check, on_body=take)
        await asyncio.sleep(PAUSE_BETWEEN_STREAMS_SECONDS)
