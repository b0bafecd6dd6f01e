"""Metrics of fleets that never were: a few hosts with a past of hours, and a crowd with a past of minutes."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .prometheus import LOOKBACK_SECONDS, Samples

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
STEP_SECONDS = 20
WORKERS = 4
RECORD_SECONDS = 3.0
FUTURE_SECONDS = 5 * MINUTE
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
WATCHDOG: dict[str, Any] = {"alert": "Watchdog", "expr": "vector(1)"}
# The rules of tests: as those of the role, with labels and annotations of the agreed names.
CERTIFICATE_ENDS: dict[str, Any] = {
    "alert": "CertificateEnds",
    "expr": "(min by (name) (farrier_certificate_expiry_timestamp_seconds) - time()) / 86400 < 14",
    "labels": {"severity": "warning"},
    "annotations": {
        "summary": 'The certificate of {{ $labels.name }} ends in {{ $value | printf "%.0f" }} days.',
        "runbook_url": "https://example.org/docs/alerts.md#certificateends",
    },
}


def release_name(at: float, version: str) -> str:
    """Return what a release is called that went live at a moment: the time is that of its build."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(at - 90))}-{version}"


@dataclass
class Live:
    """A release that an app serves from a moment on, until the next one.

    An undo brings an old one back, which has been live `since` it was deployed. A rollback deploys one anew.
    """

    release: str
    at: float
    since: float
    result: str = "live"


def deployed(at: float, version: str) -> Live:
    """Return what a deploy makes live."""
    return Live(release_name(at, version), at, since=at)


def undone(at: float, origin: Live) -> Live:
    """Return what an undo makes live."""
    return Live(origin.release, at, since=origin.since, result="undone")


def failed(at: float, origin: Live) -> Live:
    """Return what goes on being live when a deploy fails early."""
    return Live(origin.release, at, since=origin.since, result="failed")


def rolled_back(at: float, origin: Live) -> Live:
    """Return what a rollback makes live."""
    return Live(origin.release, at, since=at, result="rolled_back")


@dataclass
class App:
    """An app, and what it did."""

    name: str
    hosts: Sequence[str]
    lives: Sequence[Live]
    per_second: float = 20.0
    seconds: float = 0.02
    errors: float = 0.0005
    # How long after a host the next one follows.
    stagger_seconds: float = 0.0
    # Of a release that answers badly, the share of errors.
    bad: dict[str, float] = field(default_factory=dict)


class Fleet:
    """What Prometheus would know of some hosts.

    Args:
        now: what the tests take for now; there are samples for as long as they may run after it.
        past_seconds: since when.
    """

    def __init__(self, now: float, past_seconds: float) -> None:
        self.samples = Samples()
        first, last = int(-past_seconds / STEP_SECONDS), int(FUTURE_SECONDS / STEP_SECONDS)
        self._moments = [now + STEP_SECONDS * step for step in range(first, last + 1)]
        self._random = random.Random(17)

    def gauge(self, metric: str, value: float | Sequence[float], /, **labels: str) -> None:
        """Add a series of the node exporter, or of another `job`: one value, or one for each moment."""
        values = value if isinstance(value, Sequence) else [value] * len(self._moments)
        self.samples.add(metric, zip(self._moments, values, strict=True), **{"job": "node", **labels})

    def counter(self, metric: str, rates: Sequence[float], part: float = 1.0, /, **labels: str) -> None:
        """Add a series that grows by a part of these rates, of a second, at each moment."""
        self.gauge(metric, [part * STEP_SECONDS * total for total in itertools.accumulate(rates)], **labels)

    def noise(self, part: float = 0.08) -> list[float]:
        """Return a factor near 1 for each moment."""
        return [1 + self._random.uniform(-part, part) for _ in self._moments]

    def host(
        self, host: str, up: bool = True, processor: float = 0.2, disk: float = 0.4, ill: bool = False
    ) -> None:
        """Add what the node exporter says."""
        self.gauge("up", float(up), instance=host)
        if not up:
            return
        for mode, share in (("idle", 1 - processor), ("user", processor)):
            self.counter("node_cpu_seconds_total", self.noise(), share, instance=host, cpu="0", mode=mode)
        self.gauge("node_memory_MemTotal_bytes", 4e9, instance=host)
        self.gauge("node_memory_MemAvailable_bytes", [2.2e9 * noise for noise in self.noise()], instance=host)
        for mount, used in (("/", disk / 2), ("/var", disk)):
            labels = {"instance": host, "mountpoint": mount, "fstype": "ext4", "device": "/dev/vda"}
            self.gauge("node_filesystem_size_bytes", 4e10, **labels)
            self.gauge("node_filesystem_avail_bytes", 4e10 * (1 - used), **labels)
        self.gauge("node_timex_sync_status", float(not ill), instance=host)
        self.gauge("node_timex_offset_seconds", 0.0004, instance=host)
        self.gauge("farrier_reboot_required", float(ill), instance=host)

    def exporter(self, job: str, host: str, up: bool = True) -> None:
        """Add another exporter of a host."""
        self.gauge("up", float(up), instance=host, job=job)

    def app(self, app: App, edges: Sequence[str]) -> None:
        """Add what app hosts and edges say of an app."""
        for number, host in enumerate(app.hosts):
            later = number * app.stagger_seconds
            self._on_host(
                app.name,
                host,
                [replace(live, at=live.at + later, since=live.since + later) for live in app.lives],
            )
        for edge in edges:
            self._on_edge(app, edge, 1 / len(edges))

    def _live(self, lives: Sequence[Live]) -> list[Live]:
        """Return what is live at each moment."""
        return [[live for live in lives if live.at <= at or live is lives[0]][-1] for at in self._moments]

    def _on_host(self, app: str, host: str, lives: Sequence[Live]) -> None:
        labels = {"job": "node", "app": app, "instance": host}
        live_at = list(zip(self._moments, self._live(lives), strict=True))
        # Nothing for as long as Prometheus looks back, so that it sees one release at a time.
        seen = [(at, live) for at, live in live_at if live is lives[0] or at - live.at > LOOKBACK_SECONDS]
        for release in dict.fromkeys(live.release for live in lives):
            when = [(at, 1.0) for at, live in seen if live.release == release]
            self.samples.add("farrier_release_info", when, release=release, **labels)
        since = [(at, live.since) for at, live in seen]
        self.samples.add("farrier_release_live_timestamp_seconds", since, **labels)
        for result in dict.fromkeys(live.result for live in lives):
            ends = [live.at + RECORD_SECONDS for live in lives if live.result == result]
            last = [(at, max(end for end in ends if end <= at)) for at in self._moments if ends[0] <= at]
            self.samples.add("farrier_deploy_timestamp_seconds", last, result=result, **labels)
        self.gauge("farrier_deploy_under_way", 0, **labels)
        self.gauge("farrier_service_active", 1, unit=f"{app}.service", **labels)
        self.gauge("farrier_service_restarts_total", 0, unit=f"{app}.service", **labels)
        self.gauge("farrier_workers", WORKERS, state="ready", **labels)
        self.gauge("farrier_workers_wanted", WORKERS, **labels)
        hours = [(at - live.at) / HOUR for at, live in live_at]
        for worker in range(WORKERS):
            memory = [1.1e8 + worker * 4e6 + 9e6 * min(hour, 3) for hour in hours]
            lag = [0.004 * math.exp(self._random.gauss(0, 0.6)) for _ in self._moments]
            self.gauge("farrier_worker_memory_bytes", memory, worker=str(worker), **labels)
            self.gauge("farrier_worker_loop_lag_seconds", lag, worker=str(worker), **labels)

    def _on_edge(self, app: App, edge: str, share: float) -> None:
        lives = self._live(app.lives)
        labels = {"app": app.name, "instance": edge}
        waves = [1 + math.sin(at / HOUR * 1.7) / 4 + math.sin(at / HOUR * 7) / 10 for at in self._moments]
        all_rates = [app.per_second * share * w * noise for w, noise in zip(waves, self.noise(), strict=True)]
        for release in dict.fromkeys(live.release for live in app.lives):
            rates = [
                rate if live.release == release else 0.0 for rate, live in zip(all_rates, lives, strict=True)
            ]
            bad = app.bad.get(release, app.errors)
            for code, part in (("200", 0.96 - bad), ("304", 0.03), ("404", 0.01), ("502", bad)):
                self.counter("farrier_http_requests_total", rates, part, code=code, release=release, **labels)
            metric = "farrier_http_request_duration_seconds"
            seconds = app.seconds * (2.2 if release in app.bad else 1)
            for bound in (*BOUNDS, math.inf):
                le = "+Inf" if bound == math.inf else str(bound)
                part = 1 - math.exp(-bound / seconds)
                self.counter(f"{metric}_bucket", rates, part, le=le, release=release, **labels)
            self.counter(f"{metric}_count", rates, release=release, **labels)
        self.gauge("farrier_maintenance", 0, **labels)


def few(now: float) -> Fleet:
    """Return seven hosts with three apps; one release of `shop` was undone, 38 minutes ago."""
    fleet = Fleet(now, 3.2 * HOUR)
    for host, processor, disk in (
        ("edge1", 0.11, 0.22), ("edge2", 0.12, 0.21), ("app1", 0.34, 0.47), ("app2", 0.37, 0.45),
        ("app3", 0.31, 0.71), ("db1", 0.24, 0.58), ("db2", 0.08, 0.57),
    ):  # fmt: skip
        fleet.host(host, processor=processor, disk=disk)
    for edge in ("edge1", "edge2"):
        fleet.exporter("nginx", edge)
        fleet.gauge(
            "farrier_certificate_expiry_timestamp_seconds", now + 61 * DAY, instance=edge, name="shop"
        )
        fleet.gauge(
            "farrier_certificate_expiry_timestamp_seconds", now + 11.6 * DAY, instance=edge, name="reports"
        )
    for database, primary in (("db1", 1), ("db2", 0)):
        fleet.exporter("postgresql", database)
        fleet.gauge("farrier_postgresql_primary", primary, instance=database)
    fleet.exporter("valkey", "db1")
    shop = [
        deployed(now - 9 * DAY, "v2.3.1"),
        deployed(now - 130 * MINUTE, "v2.4.0"),
        deployed(now - 45 * MINUTE, "v2.4.1"),
    ]
    shop.append(undone(now - 38 * MINUTE, shop[1]))
    observatory = [deployed(now - 8 * DAY, "3f2c1ab"), deployed(now - 70 * MINUTE, "9be07d4")]
    observatory += [undone(now - 69 * MINUTE, observatory[0]), deployed(now - 50 * MINUTE, "5d21e0f")]
    reports = [deployed(now - 45 * DAY, "v11"), deployed(now - 101 * MINUTE, "v12")]
    reports.append(rolled_back(now - 100 * MINUTE, reports[0]))
    reports.append(failed(now - 30 * MINUTE, reports[-1]))
    apps = [
        App("shop", ["app1", "app2", "app3"], shop, 84, stagger_seconds=90, bad={shop[2].release: 0.06}),
        App("observatory", ["app1", "app2"], observatory, 31, 0.008),
        App("reports", ["app3"], reports, 1.6, 0.19, 0.0),
    ]
    for app in apps:
        fleet.app(app, ["edge1", "edge2"])
    for name, age, proof in (
        ("shop", 3.2, 2.1),
        ("observatory", 3.4, 2.2),
        ("reports", 3.1, 2.0),
        ("postgresql", 5.5, 3.1),
    ):
        host = "db1" if name == "postgresql" else "app3"
        fleet.gauge("farrier_backup_timestamp_seconds", now - age * HOUR, instance=host, name=name)
        fleet.gauge("farrier_backup_proof_timestamp_seconds", now - proof * DAY, instance=host, name=name)
        fleet.gauge("farrier_backup_problem", 0, instance=host, name=name)
    return fleet


def crowd(now: float, names: Sequence[str], release: str) -> Fleet:
    """Return fifty hosts with an app of each name on all of them; much is wrong on some.

    Args:
        now: until when.
        names: of the apps.
        release: of the last app, which is in the middle of a deploy.
    """
    fleet = Fleet(now, 6 * MINUTE)
    hosts = [f"app{number}" for number in range(1, 51)]
    for host in hosts:
        fleet.host(host, up=host != "app50", ill=host == "app8")
    for name in names:
        lives = [deployed(now - 14 * DAY, "v1.0.0")]
        fleet.app(App(name, hosts[:49], lives), ["app1", "app2"])
    last = {"app": names[-1], "instance": "app50"}
    fleet.gauge("farrier_release_info", 1, release=release, **last)
    fleet.gauge("farrier_release_live_timestamp_seconds", now - 2 * MINUTE, **last)
    fleet.gauge("farrier_deploy_under_way", 1, **last)
    fleet.gauge("farrier_service_active", 0, unit=f"{names[-1]}.service", **last)
    fleet.gauge("farrier_maintenance", 1, app=names[0], instance="app3")
    fleet.gauge("farrier_drained", 1, host="app7", instance="app1")
    fleet.exporter("valkey", "app9", up=False)
    fleet.gauge("farrier_metrics_errors", 1, instance="app9", part="workers")
    return fleet
