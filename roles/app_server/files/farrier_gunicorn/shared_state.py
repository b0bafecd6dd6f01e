"""Two bytes that the master shares with one worker: how the worker is, and what the master wants of it."""

from __future__ import annotations

import mmap
from enum import IntEnum


class Stage(IntEnum):
    """How far a worker is; written by the worker. Anonymous memory begins as zero."""

    BOOTING = 0
    READY = 1
    RECYCLING = 2
    """Has served its number of requests or passed its memory, goes on serving, and asks for a replacement."""
    DRAINING = 3
    LEAVING = 4
    """Drains, and ends, though the master did not say so: somebody else has sent SIGTERM."""


class Order(IntEnum):
    """What a worker is to do; written by the master."""

    SERVE = 0
    STAND_BY = 1
    """Drain, but be there to serve again."""
    GO = 2
    """Drain, and end."""
    STOP = 3
    """The same while nobody else serves: all wait for the last of them."""


class SharedState:
    """Made in the master before it forks; the worker inherits it. Survives whatever happens to either."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)

    @property
    def stage(self) -> Stage:
        return Stage(self._memory[0])

    @stage.setter
    def stage(self, stage: Stage) -> None:
        self._memory[0] = stage

    @property
    def order(self) -> Order:
        return Order(self._memory[1])

    @order.setter
    def order(self, order: Order) -> None:
        self._memory[1] = order

    def close(self) -> None:
        """Give the memory back; the state cannot be read afterwards."""
        self._memory.close()
