"""What systemd says of the units of the apps: one question for all of them."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from farrier_metrics.exposition import Sample
from farrier_metrics.settings import Settings

_SHOW = ("systemctl", "show", "--property=Id,ActiveState,NRestarts,ControlGroup")
_ACTIVE = ("active", "reloading", "refreshing")
_SECONDS = 10


@dataclass(frozen=True)
class Unit:
    """What is known of one."""

    name: str
    is_active: bool
    restarts: int
    cgroup: str


def parse(shown: str) -> dict[str, Unit]:
    """Return the units that `systemctl show` prints."""
    found = {}
    for block in shown.split("\n\n"):
        shows = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        restarts = shows.get("NRestarts", "")
        if name := shows.get("Id"):
            is_active = shows.get("ActiveState") in _ACTIVE
            count = int(restarts) if restarts.isdecimal() else 0
            found[name] = Unit(name, is_active, count, shows.get("ControlGroup", ""))
    return found


class Units:
    """Of the apps of this host. A process is named by its template: each release has instances of its own."""

    def __init__(self, settings: Settings) -> None:
        self._wanted = {
            **{(app.name, f"{app.name}.service"): 1 for app in settings.apps if app.is_web},
            **{
                (app.name, f"{app.name}-{process}@.service"): count
                for app in settings.apps
                for process, count in app.processes.items()
            },
        }
        self._restarts: Counter[tuple[str, str]] = Counter()
        self._seen: dict[str, int] = {}
        self.found: dict[str, Unit] = {}
        """What the last look has found."""

    def look(self) -> None:
        """Ask systemd; raises OSError, subprocess.SubprocessError."""
        self.found = {}
        if self._wanted:
            patterns = [unit.replace("@.", "@*.") for _, unit in self._wanted]
            shown = subprocess.run(
                [*_SHOW, "--", *patterns], capture_output=True, text=True, check=True, timeout=_SECONDS
            )
            self.found = parse(shown.stdout)

    def samples(self, apps: Collection[str]) -> Iterator[Sample]:
        """Yield how the units of some apps do, as the last look has found them."""
        seen = {}
        for (app, name), count in self._wanted.items():
            if app not in apps:
                continue
            prefix = name.removesuffix(".service")
            units = [
                unit
                for unit in self.found.values()
                if unit.name == name or (prefix.endswith("@") and unit.name.startswith(prefix))
            ]
            for unit in units:
                seen[unit.name] = unit.restarts
                # An instance that is gone takes its number with it, and a counter must not fall.
                self._restarts[app, name] += max(0, unit.restarts - self._seen.get(unit.name, 0))
            labels = {"app": app, "unit": name}
            yield Sample("farrier_service_active", sum(unit.is_active for unit in units) >= count, labels)
            yield Sample("farrier_service_restarts_total", self._restarts[app, name], labels)
        self._seen = seen
