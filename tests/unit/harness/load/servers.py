"""Servers that do exactly what they are told, and clients of the harness to set on them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.harness.load.pace import Pace
from tests.harness.load.recorder import Recorder
from tests.harness.load.session import Session
from tests.harness.load.target import Target

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

TIMEOUT_SECONDS = 5.0


@asynccontextmanager
async def serving(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve each connection by `behave` on loopback; gives the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await behave(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # The client may go whenever it likes.
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def target_at(
    port: int, tls: ssl.SSLContext | None = None, addresses: tuple[str, ...] = ("127.0.0.1",)
) -> Target:
    """Return a target on loopback."""
    return Target(
        url=f"{'https' if tls else 'http'}://localhost:{port}",
        host="localhost",
        addresses=addresses,
        port=port,
        tls=tls,
    )


@asynccontextmanager
async def session_against(
    behave: Behaviour,
    *,
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> AsyncIterator[Session]:
    """Give a client session of a server that behaves so; `tls` are the contexts of server and client."""
    async with serving(behave, tls[0] if tls else None) as port:
        target = target_at(port, tls[1] if tls else None)
        session = Session(target, Recorder(), Pace(None), timeout_seconds=timeout_seconds)
        yield session
        session.close()


def kinds(recorder: Recorder) -> list[str]:
    """Return the kinds of the failures, in order."""
    return [failure["kind"] for failure in recorder.failures]


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Read one request; return its request line and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lengths = [line.split(":")[1] for line in head.splitlines() if line.lower().startswith("content-length:")]
    return head.splitlines()[0], await reader.readexactly(int(lengths[0])) if lengths else b""


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return a complete answer with a JSON body."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body)}",
        "Content-Type: application/json",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
