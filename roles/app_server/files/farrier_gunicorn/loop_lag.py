"""How long an event loop has kept its callbacks waiting: it is seen by ticks that come too late."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

TICK_SECONDS = 0.1
PUBLISHED_EVERY_SECONDS = 10.0
# Whoever looks every half minute misses nothing.
_PERIODS = 3


class LoopLag:
    """The longest delay of the last 30 to 40 seconds.

    Args:
        publish: is told it every ten seconds.
    """

    def __init__(self, publish: Callable[[float], None]) -> None:
        self._publish = publish
        self._periods: deque[float] = deque([0.0], maxlen=_PERIODS)
        self.restart()

    def restart(self) -> None:
        """The next tick is due a tenth of a second from now, whatever was before."""
        now = time.monotonic()
        self._ticked_at = now
        self._publish_at = now + PUBLISHED_EVERY_SECONDS

    def tick(self) -> None:
        """Note how late this tick is."""
        now = time.monotonic()
        late = now - self._ticked_at - TICK_SECONDS
        self._ticked_at = now
        if late > self._periods[-1]:
            self._periods[-1] = late
        if now >= self._publish_at:
            self._publish(max(self._periods))
            self._periods.append(0.0)
            self._publish_at = now + PUBLISHED_EVERY_SECONDS
