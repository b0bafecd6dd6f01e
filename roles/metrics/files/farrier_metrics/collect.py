"""Gathers all parts, again and again. One that fails is a metric, and the others go on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator

from farrier_metrics import backups, deploys, edge, host, workers
from farrier_metrics.access_log import Follower
from farrier_metrics.exposition import Sample, render
from farrier_metrics.requests import Requests
from farrier_metrics.settings import App, Settings
from farrier_metrics.units import Units

Part = Callable[[], Iterable[Sample]]


class Collector:
    """Of one host."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._said: dict[str, str] = {}
        self._units = Units(settings)
        self._records = {app.name: deploys.Record(app, settings) for app in settings.apps}
        self._live: dict[str, str] = {}
        self._parts: dict[str, Part] = {"reboot": lambda: host.reboot(settings)}
        if settings.apps:
            self._parts |= {
                "services": self._services,
                "releases": self._releases,
                "deploys": self._deploys,
                "workers": self._workers,
            }
        if settings.is_edge:
            self._follower = Follower(settings.access_log, settings.state)
            self._requests = Requests(settings.edge_apps)
            self._parts |= {
                "requests": self._count_requests,
                "certificates": edge.Certificates(settings).samples,
                "drained": lambda: edge.drained(settings),
                "maintenance": lambda: edge.maintenance(settings),
            }
        if settings.has_postgresql:
            self._parts["postgresql"] = lambda: host.postgresql(settings)
        if settings.has_backups:
            self._parts["backups"] = lambda: backups.samples(settings)

    def samples(self) -> Iterator[Sample]:
        """Yield everything that can be had now."""
        for name, part in self._parts.items():
            error = ""
            try:
                yield from part()
            except Exception as failure:  # whatever it is, the other parts are not to miss it
                error = f"{type(failure).__name__}: {failure}"
            if error != self._said.get(name, ""):
                self._said[name] = error
                print(f"{name}: {error or 'all is well again'}", file=sys.stderr, flush=True)
            yield Sample("farrier_metrics_errors", bool(error), {"part": name})

    def write(self) -> None:
        """Replace the file in one step; raises OSError."""
        output = self._settings.output
        # The node exporter reads files whose names end with .prom.
        new = output.with_suffix(".new")
        new.write_bytes(render(self.samples()).encode(errors="replace"))
        new.chmod(0o644)
        new.replace(output)

    @property
    def _apps(self) -> dict[str, App]:
        """Those that nobody has removed since the settings were written."""
        return {app.name: app for app in self._settings.apps if (self._settings.releases / app.name).is_dir()}

    def _services(self) -> Iterable[Sample]:
        self._units.look()
        return self._units.samples(self._apps)

    def _deploys(self) -> Iterator[Sample]:
        for name in self._apps:
            yield from self._records[name].samples()

    def _releases(self) -> Iterator[Sample]:
        for app in self._apps.values():
            live = deploys.live_release(app, self._settings)
            if live:
                self._live[app.name] = live
            yield from deploys.samples(app, live, self._settings)

    def _workers(self) -> Iterator[Sample]:
        for app in self._settings.apps:
            unit = self._units.found.get(f"{app.name}.service")
            if app.is_web and unit:
                yield from workers.samples(app, unit.cgroup, self._settings)

    def _count_requests(self) -> Iterator[Sample]:
        now = time.monotonic()
        for lines in self._follower.pieces():
            self._requests.take(lines, now)
        return self._requests.samples(self._live, now)
