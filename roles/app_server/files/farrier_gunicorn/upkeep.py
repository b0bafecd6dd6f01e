"""Which workers of the serving generation go, and how many are to be started."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from farrier_gunicorn.shared_state import SharedState, Stage

_BACK_OFF_MOST_SECONDS = 10.0


class Member(Protocol):
    """A worker, as far as it matters here."""

    shared_state: SharedState


_Worker = TypeVar("_Worker", bound=Member)


@dataclass(frozen=True)
class Plan(Generic[_Worker]):
    """What brings the number of workers to what is wanted."""

    retire: list[_Worker]
    start: int


def plan(team: Sequence[_Worker], wanted: int, *, may_recycle: bool) -> Plan[_Worker]:
    """Decide for `team`, the workers that have not been told to go, oldest first.

    A worker that asks to be recycled goes when as many as are wanted serve without it; one replacement starts
    at a time, for the memory. Otherwise, of too many workers those go first that have done nothing yet.
    """
    recycling = [worker for worker in team if worker.shared_state.stage is Stage.RECYCLING]
    ready = [worker for worker in team if worker.shared_state.stage is Stage.READY]
    booting = [worker for worker in team if worker.shared_state.stage is Stage.BOOTING]
    replaced = recycling[: max(0, len(recycling) + len(ready) - wanted)]
    surplus = (booting + ready)[: max(0, len(booting) + len(ready) - wanted)]
    start = max(0, wanted - len(team))
    if start == 0 and may_recycle and recycling and not booting and len(ready) < wanted:
        start = 1
    return Plan(replaced + surplus, start)


class BackOff:
    """Ever longer pauses between starts that fail: 0.5 s, 1 s, … 10 s."""

    def __init__(self) -> None:
        self._failures = 0
        self._ends_at = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the next start may be tried."""
        return time.monotonic() >= self._ends_at

    def lengthen(self) -> None:
        """A start has failed."""
        self._failures += 1
        self._ends_at = time.monotonic() + min(_BACK_OFF_MOST_SECONDS, 0.25 * 2**self._failures)

    def reset(self) -> None:
        """All is well again."""
        self._failures = 0
