"""A few clients that use a socket as a proxy does, all through a test, and notice all that goes wrong."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from tests.unit.roles.app_server.host import wait_for

_REQUEST_TIMEOUT_SECONDS = 20.0


@dataclass
class Load:
    """Keep-alive connections that carry POSTs, which no proxy repeats: each has to be answered, and rightly.

    A connection may be idle for up to `idle_seconds`, less than the proxy's keep-alive that the app was told
    of: in that time the server must not close it.
    """

    socket: Path
    connections: int = 8
    idle_seconds: float = 0.8
    pause_seconds: float = 0.002
    failures: list[str] = field(default_factory=list)
    releases: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0

    def __enter__(self) -> Load:
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        self.wait_for_more(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    @property
    def answered(self) -> int:
        """Number of requests that were answered as they should be."""
        return self.releases.total()

    def wait_for_more(self, number: int) -> None:
        """Until `number` more requests were answered, whatever happens meanwhile."""
        goal = self.answered + number
        wait_for(lambda: self.answered >= goal or self.failures, "requests are answered")

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as clients:
            for number in range(self.connections):
                # A quarter of the connections is idle for most of the time.
                clients.create_task(self._use_connections(idle=number % 4 == 0))

    async def _use_connections(self, *, idle: bool) -> None:
        while not self._ending.is_set():
            reader, writer = await asyncio.open_unix_connection(self.socket)
            try:
                await self._use_connection(reader, writer, idle=idle)
            finally:
                writer.close()

    async def _use_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, idle: bool
    ) -> None:
        for number in itertools.count():
            if self._ending.is_set():
                return
            body = random.randbytes(random.choice((10, 1_000, 100_000)))
            started = time.monotonic()
            try:
                async with asyncio.timeout(_REQUEST_TIMEOUT_SECONDS):
                    headers = await self._post(reader, writer, body)
            except (OSError, EOFError, ValueError, AssertionError, TimeoutError) as error:
                self.failures.append(f"request {number} of a connection: {error!r}")
                return
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - started)
            self.releases[headers["x-release"]] += 1
            if headers.get("connection") == "close":
                return
            await asyncio.sleep(random.uniform(0, self.idle_seconds) if idle else self.pause_seconds)

    async def _post(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes
    ) -> dict[str, str]:
        writer.write(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.strip().split("\r\n")
        assert status.split()[1] == "200", head
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        answer = await reader.readexactly(int(headers["content-length"]))
        assert hashlib.sha256(body).hexdigest().encode() in answer, answer
        return headers
