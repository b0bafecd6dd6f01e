"""What `site.yml` has said of this host, and where things are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONFIGURATION = Path("/etc/farrier-metrics/settings.json")


@dataclass(frozen=True)
class App:
    """An app of this host.

    Args:
        name: its name.
        is_web: whether it has a web process.
        processes: copies of each process beside it, by name.
    """

    name: str
    is_web: bool = True
    processes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """Of a host.

    Args:
        apps: that run on it.
        edge_apps: that it serves as an edge.
        certificates: directories of those that nginx serves, by name.
        is_edge: whether it is one; there may be no app yet.
        has_postgresql: whether it has PostgreSQL.
        has_backups: whether what it has is saved.
    """

    apps: Sequence[App] = ()
    edge_apps: Sequence[str] = ()
    certificates: Mapping[str, Path] = field(default_factory=dict)
    is_edge: bool = False
    has_postgresql: bool = False
    has_backups: bool = False
    drained_directory: Path = Path("/etc/nginx/drained")
    maintenance_directory: Path = Path("/etc/nginx/maintenance")
    # Places that no setting changes.
    access_log: Path = Path("/var/log/nginx/access.log")
    releases: Path = Path("/srv")
    run: Path = Path("/run/farrier")
    log: Path = Path("/var/log/farrier")
    backup_settings: Path = Path("/etc/farrier-backup/settings.json")
    backup_state: Path = Path("/var/lib/farrier-backup")
    postgresql: Path = Path("/var/lib/postgresql")
    reboot_required: Path = Path("/run/reboot-required")
    cgroups: Path = Path("/sys/fs/cgroup")
    processes: Path = Path("/proc")
    output: Path = Path("/var/lib/prometheus/node-exporter/farrier.prom")
    # Survives a restart of the service, not of the host.
    state: Path = Path("/run/farrier-metrics")


def parse(data: Mapping[str, Any]) -> Settings:
    """Turn decoded JSON into settings."""
    return Settings(
        **{
            **data,
            "apps": [App(**app) for app in data["apps"]],
            "certificates": {name: Path(path) for name, path in data["certificates"].items()},
            "drained_directory": Path(data["drained_directory"]),
            "maintenance_directory": Path(data["maintenance_directory"]),
        }
    )


def load(path: Path = CONFIGURATION) -> Settings:
    """Read the settings."""
    return parse(json.loads(path.read_text()))
