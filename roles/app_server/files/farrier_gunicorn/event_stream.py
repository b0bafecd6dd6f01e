"""Server-sent events that end between two events: nothing is cut, and the browser asks again by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

_MEDIA_TYPE = b"text/event-stream"
_ENDS_OF_EVENTS = (b"\n\n", b"\r\n\r\n", b"\r\r")


def is_event_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether an answer with these headers is a stream of events."""
    # For every answer, where a generator would be slower.
    for name, value in headers:
        if name.lower() == b"content-type" and value.lower().startswith(_MEDIA_TYPE):
            return True
    return False


class EventStream:
    """The body of one such answer on its way from the app, whose task is the current one."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._task = asyncio.current_task()
        self._is_between_events = True
        self.is_to_end = False
        self.has_ended = False
        """Whether it was ended here, rather than by the app."""

    async def send(self, message: Message) -> None:
        """Pass a piece of the body on."""
        body = message.get("body", b"")
        was_between_events = self._is_between_events
        self._is_between_events = False  # until it is written
        await self._send(message)
        self._is_between_events = body.endswith(_ENDS_OF_EVENTS) if body else was_between_events
        if self.is_to_end and message.get("more_body"):
            await self._end_between_events()

    async def end(self) -> None:
        """End the answer now, or when the event that is on its way is whole; then cancel the app's task."""
        self.is_to_end = True
        await self._end_between_events()

    async def _end_between_events(self) -> None:
        if self._is_between_events and not self.has_ended:
            self.has_ended = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            if self._task:
                self._task.cancel()
