"""One answer on its way from the app to the server. That sees its end when the proxy sees it, not later.

By HTTP an answer is over with the last byte of its Content-Length, or with its header where it has no body. A
proxy then gives the connection to another request, and whatever the app does next would happen to that one:
uvicorn goes on until the app has said its last word, and closes the connection if the app raises before that.
So what would end the answer is held back until the app has ended it too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from farrier_gunicorn.event_stream import EventStream

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

_WITHOUT_BODY = (204, 304)
_NOT_IN_VALUES = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_INTERNAL_SERVER_ERROR: Message = {
    "type": "http.response.start",
    "status": 500,
    "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21")],
}


# How long an app may go on sending when nobody listens. Most stop by themselves before that.
_TO_NOBODY_SECONDS = 5.0


class ClientGoneError(OSError):
    """Nobody is there to take the rest of an answer."""


class Answer:
    """Passes on what the app sends, and knows what has reached the client.

    Args:
        send: the server's.
        method: of the request.
        announce: called with the header just before it is passed on; returns what is passed on instead.
        cycle: the server's state of the request, `disconnected` in uvicorn, `closed` in Hypercorn; or None.
    """

    __slots__ = (
        *("_announce", "_cycle", "_has_body", "_held", "_is_head", "_is_on_its_way", "_remaining"),
        *("_to_nobody_since", "event_stream", "is_complete", "send_body", "status"),
    )

    def __init__(
        self, send: Send, method: str, announce: Callable[[Answer, Message], Message], cycle: Any = None
    ) -> None:
        self.send_body = send
        self._announce = announce
        self._cycle = cycle
        self._to_nobody_since: float | None = None
        self._is_head = method == "HEAD"
        self._has_body = True
        self._remaining: int | None = None
        """Bytes until the end; None where the end is said by a last chunk."""
        self._held: list[Message] = []
        self._is_on_its_way = False
        self.event_stream: EventStream | None = None
        """What the body goes through, if it is one."""
        self.status: int | None = None
        """What the app has answered, if it has."""
        self.is_complete = False

    @property
    def client_has_gone(self) -> bool:
        """Whether it went before the answer was complete."""
        return getattr(self._cycle, "disconnected", False) or getattr(self._cycle, "closed", False)

    @property
    def is_of_unknown_length(self) -> bool:
        """Whether its header, once there, leaves open when it ends."""
        return self._remaining is None

    async def send(self, message: Message) -> None:
        """Pass a message on.

        Raises:
            RuntimeError: it cannot be part of this answer.
            ClientGoneError: nobody has listened for some time.
        """
        kind = message["type"]
        if kind == "http.response.start" and self.status is None:
            message = self._start(message)
            if self._is_head:
                await self._pass_on(message)
                await self._pass_on({"type": "http.response.body", "body": b""})
                self.is_complete = True
            elif self._remaining == 0:
                self._held.append(message)
            else:
                self._is_on_its_way = True
                await self.send_body(self._announce(self, message))
        elif kind == "http.response.body" and self.status is not None:
            more = message.get("more_body", False)
            passed_on = self._continue(message, more)
            if passed_on is None:
                return
            if self._held:
                await self._release()
            await self.send_body(passed_on)
            if self._remaining and not more:
                raise RuntimeError("The answer is shorter than its Content-Length")
            self.is_complete = not more
        else:
            raise RuntimeError(f"Unexpected ASGI message {kind!r}")

    def _start(self, message: Message) -> Message:
        """Return what may be passed on of a header, or held."""
        status = message["status"]
        if not 200 <= status < 600:
            raise RuntimeError(f"The status of an answer is 200 to 599, not {status}")
        headers = message.get("headers", ())
        length = _body_length(headers)
        if status in _WITHOUT_BODY:
            self._has_body = False
            self._remaining = 0
            # uvicorn would wait for as many bytes.
            headers = [(name, value) for name, value in headers if name.lower() != b"content-length"]
            message = {**message, "headers": headers}
        else:
            self._remaining = length
        self.status = status
        return message

    def _continue(self, message: Message, more: bool) -> Message | None:
        """Return what may be passed on of a piece of the body, None for nothing yet."""
        if more and (self._is_head or self.client_has_gone):
            self._check_whether_it_goes_on_for_ever()
        if self._is_head:
            return None
        if self.is_complete:
            raise RuntimeError("The answer is complete already")
        if self._remaining is None:
            return message
        if not self._has_body:
            message = {**message, "body": b""}
        self._remaining -= len(message.get("body", b""))
        if self._remaining < 0:
            raise RuntimeError("The answer is longer than its Content-Length")
        if self._remaining == 0 and more:
            if message.get("body"):
                self._held.append(message)
            return None
        return {**message, "more_body": True} if self._remaining and not more else message

    def _check_whether_it_goes_on_for_ever(self) -> None:
        """uvicorn drops what it is sent without a word, so that each stop would wait for the app in vain."""
        now = time.monotonic()
        self._to_nobody_since = self._to_nobody_since or now
        if now - self._to_nobody_since > _TO_NOBODY_SECONDS:
            raise ClientGoneError("Nobody listens any more")

    async def end(self) -> None:
        """The app has returned: an answer that lacks nothing but its last word is complete.

        One that lacks more is left to uvicorn, which cuts it, so that the client does not take it for whole.
        """
        if self._held:
            await self._release()
            await self._pass_on({"type": "http.response.body", "body": b""})
            self.is_complete = True

    async def fail(self) -> None:
        """The app has raised: the client gets 500 if nothing is on its way to it yet.

        The connection stays open: closing it would cut off a body that is still being sent.
        """
        if self._is_on_its_way:
            await self.end()
            return
        self._held.clear()
        self.status = _INTERNAL_SERVER_ERROR["status"]
        await self._pass_on(_INTERNAL_SERVER_ERROR)
        await self._pass_on({"type": "http.response.body", "body": b"Internal Server Error"})
        self.is_complete = True

    async def _release(self) -> None:
        held, self._held = self._held, []
        for message in held:
            await self._pass_on(message)

    async def _pass_on(self, message: Message) -> None:
        self._is_on_its_way = True
        if message["type"] == "http.response.start":
            message = self._announce(self, message)
        await self.send_body(message)


def _body_length(headers: Any) -> int | None:
    """What a message with these headers says of its body's length, in bytes.

    Raises:
        ValueError: a value cannot be sent. uvicorn would find that when it is too late for a 500.
    """
    if _NOT_IN_VALUES.search(b"".join([value for _, value in headers])):
        raise ValueError("A header has a character that no header may have, such as a line's end")
    length = None
    for name, value in headers:
        name = name.lower()
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            return None
    return length
