"""An ASGI app around another that does, below /misbehave, whatever an app must not do.

Standard library only: it is copied into releases. `app = Misbehaving(app)`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

PREFIX = "/misbehave/"

Send = Callable[[dict[str, Any]], Awaitable[None]]
Way = Callable[[Send], Awaitable[Any]]


class Collapse(BaseException):
    """Not an Exception, so that no framework catches it."""


def start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


TEN = (b"content-length", b"10")
NOTHING = (b"content-length", b"0")


async def raise_before(send: Send) -> None:
    raise RuntimeError("before its answer")


async def raise_after(send: Send) -> None:
    """What FastAPI and Starlette do with every exception that nobody handles."""
    await send(start(TEN, status=500))
    await send(body(b"0123456789"))
    raise RuntimeError("after its answer")


async def raise_after_chunks(send: Send) -> None:
    await send(start())
    await send(body(b"0123456789"))
    raise RuntimeError("after its answer")


async def raise_base_exception(send: Send) -> None:
    await send(start(TEN))
    await send(body(b"0123456789"))
    raise Collapse


async def raise_generator_exit(send: Send) -> None:
    await send(start(TEN))
    await send(body(b"0123456789"))
    raise GeneratorExit


async def raise_cancelled(send: Send) -> None:
    await send(start(TEN))
    await send(body(b"0123456789"))
    raise asyncio.CancelledError


async def raise_within(send: Send) -> None:
    await send(start())
    await send(body(b"x" * 1000, more=True))
    raise RuntimeError("within its answer")


async def raise_at_length(send: Send) -> None:
    """The proxy has every byte, the app has not said its last word."""
    await send(start(TEN))
    await send(body(b"0123456789", more=True))
    raise RuntimeError("after the last byte")


async def hang_at_length(send: Send) -> None:
    await send(start(TEN))
    await send(body(b"0123456789", more=True))
    await asyncio.sleep(3)


async def longer(send: Send) -> None:
    await send(start(TEN))
    await send(body(b"0123456789", more=True))
    await send(body(b"0123456789"))


async def longer_at_once(send: Send) -> None:
    await send(start(TEN))
    await send(body(b"01234567890123456789"))


async def shorter(send: Send) -> None:
    await send(start(TEN))
    await send(body(b"0123"))


async def raise_after_empty(send: Send) -> None:
    await send(start(NOTHING, status=201))
    raise RuntimeError("after the header of an empty answer")


async def raise_after_no_content(send: Send) -> None:
    await send(start(status=204))
    raise RuntimeError("after the header of an answer without a body")


async def not_modified_with_length(send: Send) -> None:
    await send(start(TEN, status=304))
    await send(body())


async def no_content_with_body(send: Send) -> None:
    await send(start(status=204))
    await send(body(b"0123456789"))


async def twice(send: Send) -> None:
    for _ in range(2):
        await send(start(TEN))
        await send(body(b"0123456789"))


async def return_something(send: Send) -> str:
    await send(start(TEN))
    await send(body(b"0123456789"))
    return "done"


async def no_answer(send: Send) -> None:
    return


async def unfinished(send: Send) -> None:
    await send(start())
    await send(body(b"0123456789", more=True))


async def bad_header(send: Send) -> None:
    await send(start((b"x-name", b"two\nlines")))


async def bad_length(send: Send) -> None:
    await send(start((b"content-length", b"ten")))


async def bad_status(send: Send) -> None:
    await send(start(status=799))


async def informational(send: Send) -> None:
    await send(start(status=101))
    await send(body())


async def never_end(send: Send) -> None:
    await send(start())
    while True:
        await send(body(b"x", more=True))
        await asyncio.sleep(0.2)


WAYS: dict[str, Way] = {
    way.__name__: way
    for way in (
        *(raise_before, raise_after, raise_after_chunks, raise_within, raise_at_length, hang_at_length),
        *(raise_base_exception, raise_generator_exit, raise_cancelled),
        *(longer, longer_at_once, shorter, raise_after_empty, raise_after_no_content),
        *(not_modified_with_length, no_content_with_body, twice, return_something, no_answer, unfinished),
        *(bad_header, bad_length, bad_status, informational, never_end),
    )
}


async def refuse(send: Send) -> None:
    await send({"type": "websocket.close", "code": 1008})


async def refuse_and_keep(send: Send) -> None:
    """A refusal that promises to keep the connection."""
    headers = [(b"connection", b"keep-alive"), (b"content-length", b"4")]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"nope"})


async def raise_before_accepting(send: Send) -> None:
    raise RuntimeError("before its handshake")


async def return_before_accepting(send: Send) -> None:
    return


async def raise_after_accepting(send: Send) -> None:
    await send({"type": "websocket.accept"})
    raise RuntimeError("after its handshake")


WEBSOCKET_WAYS: dict[str, Way] = {
    way.__name__: way
    for way in (
        *(refuse, refuse_and_keep, raise_before_accepting, return_before_accepting, raise_after_accepting),
    )
}


SICK = "sick"


class Misbehaving:
    """The app, and beside it all the ways; nothing but 500 while a file `sick` is in its state directory."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._sick = Path(os.environ.get("STATE_DIRECTORY", "/nonexistent"), SICK)

    async def __call__(self, scope: Any, receive: Any, send: Send) -> Any:
        ways = WEBSOCKET_WAYS if scope["type"] == "websocket" else WAYS
        path = scope.get("path", "")
        if scope["type"] == "http" and self._sick.exists():
            await send(start(NOTHING, status=500))
            return await send(body())
        way = ways.get(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
        if way is None:
            return await self._app(scope, receive, send)
        if scope["type"] == "websocket":
            await receive()
        return await way(send)
