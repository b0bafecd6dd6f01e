"""Requests by app, release and answer, and how long they took, from the access log of nginx."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import accumulate

from farrier_metrics.exposition import Sample

# A line costs a microsecond: what is counted comes first in it, see `log_format farrier` of the role nginx.
LINE = re.compile(
    rb'\{"time":"[^"]*","epoch":[0-9.]+,"app":"([^"]*)","status":([0-9]{3}),"request_seconds":([0-9]+\.[0-9]+),'
    rb'"stream":"([^"]*)","release":"([^"]*)"'
)
_Entry = tuple[bytes, bytes, bytes, bytes, bytes]
_RELEASE = re.compile(rb"[0-9]{8}T[0-9]{6}Z-[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_RELEASES = 8
_FORGOTTEN_AFTER_SECONDS = 3600
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BOUNDS = (*map(str, BUCKETS), "+Inf")
# Of nginx itself, beside those that have a name.
_CODES = {*(str(status.value) for status in HTTPStatus), "444", "494", "495", "496", "497", "499"}
# They are there from the beginning, since a rate is not seen before its second value.
_OF_APP = ("200", "500")
_OF_EDGE = ("502", "503", "504")
OTHER = "other"


@dataclass
class _Series:
    """Of one release of an app."""

    codes: Counter[str]
    seen_at: float
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * len(_BOUNDS))


class Requests:
    """What is counted since the service has started.

    Args:
        apps: of the edge; requests to other names count as of no app.
    """

    def __init__(self, apps: Iterable[str]) -> None:
        self._apps = {app.encode(): app for app in apps}
        self._series: dict[tuple[str, str], _Series] = {}

    def take(self, lines: bytes, now: float) -> None:
        """Count whole lines of the log."""
        entries = LINE.findall(lines)
        if len(entries) != lines.count(b"\n"):
            entries = [entry for line in lines.splitlines() for entry in _entries(line)]
        for entry, count in Counter(entries).items():
            self._count(entry, count, now)

    def _count(self, entry: _Entry, count: int, now: float) -> None:
        app, status, seconds, stream, release = entry
        series = self._of(self._apps.get(app, ""), release, now)
        code = status.decode()
        series.codes[code if code in _CODES else f"{code[0]}xx"] += count
        # A WebSocket or an event stream takes as long as its client likes.
        if not stream and code != "101":
            duration = float(seconds)
            series.buckets[bisect_left(BUCKETS, duration)] += count
            series.seconds += duration * count

    def _of(self, app: str, release: bytes, now: float) -> _Series:
        name = release.decode(errors="replace")
        if (app, name) not in self._series and name:
            known = sum(of == app and one != "" for of, one in self._series)
            if known >= _MOST_RELEASES or not _RELEASE.fullmatch(release):
                name = OTHER  # the app can answer with any header
        codes = _OF_APP if name else _OF_EDGE
        series = self._series.setdefault((app, name), _Series(Counter(dict.fromkeys(codes, 0)), now))
        series.seen_at = now
        return series

    def samples(self, live: Mapping[str, str], now: float) -> Iterator[Sample]:
        """Yield all of it.

        Args:
            live: release by app, as far as it is known here.
            now: seconds since some moment, as in `take`.
        """
        for app in self._apps.values():
            for release in {"", live.get(app, "")}:
                if (app, release) not in self._series:
                    self._of(app, release.encode(), now)
            self._forget(app, live.get(app, ""), now)
        for (app, release), series in sorted(self._series.items()):
            labels = {"app": app, "release": release}
            for code, count in sorted(series.codes.items()):
                yield Sample("farrier_http_requests_total", count, {**labels, "code": code})
            metric = "farrier_http_request_duration_seconds"
            for bound, count in zip(_BOUNDS, accumulate(series.buckets), strict=True):
                yield Sample(metric, count, {**labels, "le": bound}, "_bucket")
            yield Sample(metric, round(series.seconds, 6), labels, "_sum")
            yield Sample(metric, sum(series.buckets), labels, "_count")

    def _forget(self, app: str, live: str, now: float) -> None:
        """Drop releases of an hour ago, but the live one, or the last one that has answered."""
        seen = {
            release: series.seen_at for (of, release), series in self._series.items() if of == app and release
        }
        for release, at in seen.items():
            if now - at > _FORGOTTEN_AFTER_SECONDS and release != live and at < max(seen.values()):
                del self._series[app, release]


def _entries(line: bytes) -> Collection[_Entry]:
    """Return the entry of a line that may have another form; nothing if it makes no sense."""
    if found := LINE.findall(line):
        return found[:1]
    try:
        data = json.loads(line)
        entry = [
            data["app"],
            f"{data['status']:03d}",
            f"{data['request_seconds']:.3f}",
            data.get("stream", ""),
        ]
        app, status, seconds, stream, release = (str(one).encode() for one in [*entry, data["release"]])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    is_sound = re.fullmatch(rb"[0-9]{3}", status) and re.fullmatch(rb"[0-9]+\.[0-9]+", seconds)
    return [(app, status, seconds, stream, release)] if is_sound else []
