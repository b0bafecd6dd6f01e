"""Every request as a row of a few bytes, so that a million of them fit into memory."""

from __future__ import annotations

import csv
import gzip
from array import array
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time
from typing import Any

import numpy

from .failures import Failure, Kind

KEPT_FAILURES = 20
"""How many failures are kept in full detail; the rest is counted by kind and stays in the rows."""

KINDS = ("", *Kind)


@dataclass(frozen=True, slots=True)
class Route:
    """What was asked, with placeholders for what varies, such as `DELETE /notes/{id}`.

    Attributes:
        method: HTTP method, WS for WebSockets, CONNECTION for what happens between requests.
        path: path of the request.
        long: whether it takes long on purpose (a stream), and so says nothing about latency.
    """

    method: str
    path: str
    long: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


BETWEEN_REQUESTS = Route("CONNECTION", "-", long=True)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened elsewhere during the run, such as a reload.

    Attributes:
        at_seconds: since the start of the run.
        label: what happened.
    """

    at_seconds: float
    label: str


class Recorder:
    """Collects rows, marks and counters of one run."""

    def __init__(self) -> None:
        self._start = monotonic()
        self.started_at = datetime.fromtimestamp(time(), UTC)
        self.at_seconds = array("d")
        self.duration_seconds = array("f")
        self.route = array("H")
        self.status = array("H")
        self.release = array("H")
        self.kind = array("B")
        self.host = array("H")
        self.routes: dict[Route, int] = {}
        self.releases: dict[str, int] = {}
        self.hosts: dict[str, int] = {}
        self.answers_by_host: Counter[str] = Counter()
        self.failures: list[dict[str, Any]] = []
        self.failed_by_method: Counter[str] = Counter()
        self.repeated = 0
        self.streams_lost = 0
        self.load_seconds = 0.0
        self.marks: list[Mark] = []
        self.counters: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self.at_seconds)

    @property
    def failed(self) -> int:
        """Number of failures of any kind."""
        return self.failed_by_method.total()

    def now_seconds(self) -> float:
        """Return the seconds since the start of the run."""
        return monotonic() - self._start

    def end(self) -> None:
        """Note that no more requests begin; those under way are still recorded."""
        self.load_seconds = self.now_seconds()

    def mark(self, label: str) -> Mark:
        """Note that `label` happens now."""
        mark = Mark(self.now_seconds(), label)
        self.marks.append(mark)
        return mark

    def add(self, route: Route, at_seconds: float, *, status: int, release: str, host: str = "") -> None:
        """Record an answer that was right; it began at `at_seconds`, ends now, and may name its host."""
        self._row(route, at_seconds, status, release, 0, host)
        if host:
            self.answers_by_host[host] += 1

    def fail(self, route: Route, at_seconds: float, failure: Failure, *, path: str = "") -> None:
        """Record a failure of a request for `path` that began at `at_seconds` and ends now."""
        self._row(route, at_seconds, failure.status, failure.release, KINDS.index(failure.kind))
        self.failed_by_method[route.method] += 1
        if len(self.failures) < KEPT_FAILURES:
            self.failures.append(
                {
                    "at_seconds": round(at_seconds, 6),
                    "milliseconds": round((self.now_seconds() - at_seconds) * 1000, 3),
                    "request": str(route),
                    "path": path or route.path,
                    "kind": str(failure.kind),
                    "status": failure.status,
                    "release": failure.release,
                    "detail": failure.detail,
                    "after_mark": self.marks[-1].label if self.marks else "",
                }
            )

    def _row(
        self, route: Route, at_seconds: float, status: int, release: str, kind: int, host: str = ""
    ) -> None:
        self.at_seconds.append(at_seconds)
        self.duration_seconds.append(monotonic() - self._start - at_seconds)
        self.route.append(self.routes.setdefault(route, len(self.routes)))
        self.status.append(status)
        self.release.append(self.releases.setdefault(release, len(self.releases)))
        self.kind.append(kind)
        self.host.append(self.hosts.setdefault(host, len(self.hosts)))

    def columns(self) -> Columns:
        """Return the rows as numpy columns, in the order in which the requests began."""
        at = numpy.frombuffer(self.at_seconds, dtype=numpy.float64)
        order = numpy.argsort(at, kind="stable")
        return Columns(
            at_seconds=at[order],
            duration_seconds=numpy.frombuffer(self.duration_seconds, dtype=numpy.float32)[order],
            route=numpy.frombuffer(self.route, dtype=numpy.uint16)[order],
            status=numpy.frombuffer(self.status, dtype=numpy.uint16)[order],
            release=numpy.frombuffer(self.release, dtype=numpy.uint16)[order],
            kind=numpy.frombuffer(self.kind, dtype=numpy.uint8)[order],
            host=numpy.frombuffer(self.host, dtype=numpy.uint16)[order],
            routes=list(self.routes),
            releases=list(self.releases),
            hosts=list(self.hosts),
        )


@dataclass(frozen=True, slots=True)
class Columns:
    """The rows of a run; `route`, `release`, `kind` and `host` are positions in these lists and `KINDS`."""

    at_seconds: numpy.ndarray
    duration_seconds: numpy.ndarray
    route: numpy.ndarray
    status: numpy.ndarray
    release: numpy.ndarray
    kind: numpy.ndarray
    host: numpy.ndarray
    routes: list[Route]
    releases: list[str]
    hosts: list[str]

    def write_csv(self, path: Path) -> None:
        """Write every row to a gzipped CSV file."""
        with gzip.open(path, "wt", compresslevel=3, newline="") as file:
            writer = csv.writer(file)
            writer.writerow(
                ("start_seconds", "milliseconds", "method", "path", "status", "release", "host", "error")
            )
            routes = [(route.method, route.path) for route in self.routes]
            for at, duration, route, status, release, host, kind in zip(
                self.at_seconds.tolist(),
                self.duration_seconds.tolist(),
                self.route.tolist(),
                self.status.tolist(),
                self.release.tolist(),
                self.host.tolist(),
                self.kind.tolist(),
                strict=True,
            ):
                writer.writerow(
                    (
                        f"{at:.6f}",
                        f"{duration * 1000:.3f}",
                        *routes[route],
                        status,
                        self.releases[release],
                        self.hosts[host],
                        KINDS[kind],
                    )
                )
