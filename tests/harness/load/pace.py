"""A cap on requests per second, so that what is tested has room to work on the same machine."""

from __future__ import annotations

import asyncio
from time import monotonic


class Pace:
    """Hands out turns, evenly spaced; without a rate a turn costs nothing."""

    def __init__(self, per_second: float | None) -> None:
        self._next = monotonic()
        self.change(per_second)

    def change(self, per_second: float | None) -> None:
        """Hand out so many turns a second from now on; None for as many as are asked for."""
        self._interval_seconds = 1 / per_second if per_second else 0.0

    async def turn(self) -> None:
        """Wait until it is this caller's turn; turns that nobody took are not made up for."""
        if not self._interval_seconds:
            return
        now = monotonic()
        self._next = max(self._next + self._interval_seconds, now)
        if self._next > now:
            await asyncio.sleep(self._next - now)
