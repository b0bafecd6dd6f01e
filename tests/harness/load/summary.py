"""From rows to what a person or a test wants to know, as plain JSON data."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy

from .recorder import KINDS, Columns, Mark, Recorder

SLOWEST = 20
LONGEST_GAPS = 10


def summarise(recorder: Recorder, *, url: str, connections: int) -> dict[str, Any]:
    """Return the report of a finished run.

    Latencies and gaps leave out what is long on purpose (streams) and what failed; failures are listed apart.
    """
    rows = recorder.columns()
    seconds = recorder.load_seconds
    requests = len(recorder) - _between_requests(rows)
    short = numpy.array([not route.long for route in rows.routes], dtype=bool)
    good = (rows.kind == 0) & (short[rows.route] if len(rows.routes) else True)
    return {
        "url": url,
        "connections": connections,
        "started_at": recorder.started_at.isoformat(timespec="milliseconds"),
        "seconds": round(seconds, 3),
        "requests": requests,
        "failed": recorder.failed,
        "requests_per_second": round(requests / seconds, 1) if seconds else 0.0,
        "repeated": recorder.repeated,
        "streams_lost": recorder.streams_lost,
        "failures_by_kind": _failures_by_kind(rows),
        "failures": recorder.failures,
        "milliseconds": latency(rows.duration_seconds[good]),
        "by_route": _by_route(rows),
        "by_release": _seen(rows, rows.release, rows.releases),
        "by_host": _seen(rows, rows.host, rows.hosts),
        "by_status": {str(key): count for key, count in sorted(Counter(rows.status.tolist()).items())},
        "gaps": _gaps(rows, good, recorder.marks),
        "slowest": _slowest(rows, good, recorder.marks),
        "marks": _marks(rows, good, recorder.marks, seconds),
        "counters": dict(sorted(recorder.counters.items())),
    }


def latency(duration_seconds: numpy.ndarray) -> dict[str, float]:
    """Return percentiles in milliseconds; all zero when there is nothing to measure."""
    names = {"p50": 50, "p90": 90, "p99": 99, "p99.9": 99.9, "slowest": 100}
    if not len(duration_seconds):
        return dict.fromkeys(names, 0.0)
    values = numpy.percentile(duration_seconds * 1000, list(names.values()))
    return {name: round(float(value), 3) for name, value in zip(names, values, strict=True)}


def _between_requests(rows: Columns) -> int:
    positions = [index for index, route in enumerate(rows.routes) if route.method == "CONNECTION"]
    return int(numpy.isin(rows.route, positions).sum())


def _failures_by_kind(rows: Columns) -> dict[str, int]:
    counts = numpy.bincount(rows.kind, minlength=len(KINDS))
    return {str(kind): int(count) for kind, count in zip(KINDS, counts, strict=True) if kind and count}


def _by_route(rows: Columns) -> dict[str, Any]:
    report = {}
    for index, route in enumerate(rows.routes):
        chosen = rows.route == index
        report[str(route)] = {
            "requests": int(chosen.sum()),
            "failed": int((rows.kind[chosen] != 0).sum()),
            "milliseconds": latency(rows.duration_seconds[chosen & (rows.kind == 0)]),
        }
    return dict(sorted(report.items()))


def _seen(rows: Columns, column: numpy.ndarray, names: list[str]) -> dict[str, Any]:
    """First and last answer of each release or host; their order in time is the order of the deploys."""
    report = {}
    ends = rows.at_seconds + rows.duration_seconds
    for index, name in enumerate(names):
        chosen = column == index
        if name and chosen.any():
            report[name] = {
                "requests": int(chosen.sum()),
                "first_seconds": round(float(ends[chosen].min()), 3),
                "last_seconds": round(float(ends[chosen].max()), 3),
            }
    return report


def _gaps(rows: Columns, good: numpy.ndarray, marks: list[Mark]) -> list[dict[str, Any]]:
    """The longest times in which no answer at all came in: what a restart costs."""
    ends = numpy.sort((rows.at_seconds + rows.duration_seconds)[good])
    widths = numpy.diff(ends)
    longest = numpy.argsort(widths)[::-1][:LONGEST_GAPS]
    return [
        {
            "at_seconds": round(float(ends[index]), 3),
            "milliseconds": round(float(widths[index]) * 1000, 3),
            "after_mark": _mark_before(marks, float(ends[index + 1])),
        }
        for index in longest.tolist()
    ]


def _slowest(rows: Columns, good: numpy.ndarray, marks: list[Mark]) -> list[dict[str, Any]]:
    candidates = numpy.flatnonzero(good)
    order = candidates[numpy.argsort(rows.duration_seconds[candidates])[::-1][:SLOWEST]]
    return [
        {
            "at_seconds": round(float(rows.at_seconds[index]), 3),
            "milliseconds": round(float(rows.duration_seconds[index]) * 1000, 3),
            "request": str(rows.routes[rows.route[index]]),
            "release": rows.releases[rows.release[index]],
            "after_mark": _mark_before(marks, float(rows.at_seconds[index])),
        }
        for index in order.tolist()
    ]


def _marks(rows: Columns, good: numpy.ndarray, marks: list[Mark], seconds: float) -> list[dict[str, Any]]:
    """Each mark with what happened from it to the next one."""
    ends = rows.at_seconds + rows.duration_seconds
    until = [*(mark.at_seconds for mark in marks), seconds][1:]
    report = []
    for mark, end in zip(marks, until, strict=True):
        # A request belongs to every window that it overlaps: one that hangs through a reload counts in both.
        window = (ends >= mark.at_seconds) & (rows.at_seconds < end)
        chosen = window & good
        answered = numpy.concatenate(([mark.at_seconds], numpy.sort(ends[chosen]).clip(max=end), [end]))
        report.append(
            {
                "label": mark.label,
                "at_seconds": round(mark.at_seconds, 3),
                "seconds": round(end - mark.at_seconds, 3),
                "requests": int(window.sum()),
                "failed": int((rows.kind[window] != 0).sum()),
                "milliseconds": latency(rows.duration_seconds[chosen]),
                "longest_gap_milliseconds": round(float(numpy.diff(answered).max(initial=0.0)) * 1000, 3),
            }
        )
    return report


def _mark_before(marks: list[Mark], at_seconds: float) -> str:
    return next((mark.label for mark in reversed(marks) if mark.at_seconds <= at_seconds), "")
