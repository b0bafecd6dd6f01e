"""Ways of running an app, what each came to under load, and which of them to choose."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from farrier_gunicorn.servers import WORKER_CLASSES

# A change that brings less is not worth making.
WORTH_RATIO = 1.1
# As good as the live one, with fewer workers.
ENOUGH_RATIO = 0.95


@dataclass(frozen=True)
class Candidate:
    """One way of running the live release.

    Args:
        name: for the table: a worker class of the kit, or a server by itself.
        workers: how many.
        words: the command, run in the app's environment.
        environment: what the command gets on top.
        is_offered: whether the kit can run it, rather than for comparison only.
    """

    name: str
    workers: int
    words: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    is_offered: bool = True

    @property
    def reports_its_workers(self) -> bool:
        """Whether each worker says when it serves."""
        return self.is_offered and WORKER_CLASSES[self.name].hands_over

    def __str__(self) -> str:
        return f"{self.name} x {self.workers}"


@dataclass
class Row:
    """What one candidate came to, a value for each round.

    Args:
        candidate: which.
        problem: why it could not be measured, or "".
    """

    candidate: Candidate
    problem: str = ""
    requests_per_second: list[float] = field(default_factory=list)
    p99_milliseconds: list[float] = field(default_factory=list)
    processor_milliseconds: list[float] = field(default_factory=list)
    memory_mb: float = 0.0
    failed: int = 0

    def surely(self, live: Row) -> float:
        """By how much it answered more in nearly all rounds: in three of three, in eight of ten."""
        ratios = sorted(self.ratios(live))
        return ratios[len(ratios) // 5]

    def ratios(self, live: Row) -> list[float]:
        """By how much it answered more than the live one, round by round."""
        return [
            mine / its for mine, its in zip(self.requests_per_second, live.requests_per_second, strict=True)
        ]


def table(rows: Sequence[Row]) -> list[str]:
    """What was measured, a line for each candidate; the live one comes first."""
    head = ("", "requests/s", "of the live", "p99 ms", "CPU ms/request", "memory MB", "failed")
    lines = [head]
    for row in rows:
        if row.problem:
            lines.append((str(row.candidate), row.problem, "", "", "", "", ""))
            continue
        ratios = row.ratios(rows[0])
        lines.append(
            (
                str(row.candidate),
                f"{statistics.median(row.requests_per_second):.0f}",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                f"{statistics.median(row.p99_milliseconds):.0f}",
                f"{statistics.median(row.processor_milliseconds):.2f}",
                f"{row.memory_mb:.0f}",
                str(row.failed),
            )
        )
    widths = [
        max(len(line[column]) for line in lines if line[2] or line is head) for column in range(len(head))
    ]
    widths[0] = max(len(line[0]) for line in lines)
    return [
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
            ]
        )
        for line in lines
    ]


def recommendation(rows: Sequence[Row]) -> str:
    """What to set, by rounds that all agree; or to leave things as they are."""
    live, *others = rows
    usable = [row for row in others if row.candidate.is_offered and not row.problem and not row.failed]
    better = [row for row in usable if row.surely(live) >= WORTH_RATIO]
    if better:
        best = max(better, key=lambda row: statistics.median(row.ratios(live)))
        ratios = best.ratios(live)
        return (
            f"{best.candidate} answers {statistics.median(ratios):.2f} times as much as {live.candidate} "
            f"({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds): {_how(best.candidate, live)}."
        )
    fewer = [
        row
        for row in usable
        if row.candidate.workers < live.candidate.workers and row.surely(live) >= ENOUGH_RATIO
    ]
    if fewer:
        least = min(fewer, key=lambda row: row.candidate.workers)
        return (
            f"{least.candidate} is as good as {live.candidate} and takes {least.memory_mb:.0f} MB instead of "
            f"{live.memory_mb:.0f}: {_how(least.candidate, live)}, or keep what there is."
        )
    return (
        f"Keep {live.candidate}: in {len(live.requests_per_second)} rounds, nothing else that the kit offers "
        f"surely answered {WORTH_RATIO} times as much."
    )


def _how(candidate: Candidate, live: Row) -> str:
    """The lines of the inventory that bring a candidate."""
    wanted, present = _keys(candidate), _keys(live.candidate)
    lines = [f"`{key}: {value}`" for key, value in wanted.items() if value != present[key]]
    return f"set {' and '.join(lines)}"


def _keys(candidate: Candidate) -> dict[str, object]:
    server = WORKER_CLASSES[candidate.name].server
    has_class = server not in ("hypercorn", "daphne", "uwsgi")
    return {
        "server": "gunicorn" if has_class else server,
        "worker_class": candidate.name if has_class else "handover",
        "workers": candidate.workers,
    }
