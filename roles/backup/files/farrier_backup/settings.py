"""What `site.yml` has said about the backups of this host, and where things are."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONFIGURATION = Path("/etc/farrier-backup")
STATE = Path("/var/lib/farrier-backup")
# Of each app, its state directory.
APPS = Path("/var/lib/farrier")


@dataclass(frozen=True)
class Settings:
    """Of a host whose apps are saved.

    Args:
        host: its name in the inventory.
        destination: USER@ADDRESS of the backup host.
        port: of its SSH server.
        apps: by name, the command that checks a restored backup, or "".
        max_age_hours: of the newest backup, before it is an alarm.
        proof_max_age_hours: of the newest restore that was proven, before it is an alarm.
        databases: of the apps in the PostgreSQL of this host; None where it has none.
        wal_max_age_minutes: of the WAL on the backup host, before it is an alarm.
        check_environments: by app, how its check reaches its database, if that is on this host.
    """

    host: str
    destination: str
    port: int
    apps: dict[str, str]
    max_age_hours: float
    proof_max_age_hours: float
    databases: list[str] | None = None
    wal_max_age_minutes: float = 30
    check_environments: dict[str, dict[str, str]] = field(default_factory=dict)


def load(configuration: Path = CONFIGURATION) -> Settings:
    """Read the settings."""
    return Settings(**json.loads((configuration / "settings.json").read_text()))


def open_way(directory: Path) -> None:
    """Make a directory that everybody may pass through, whatever the umask, and nobody may look into."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o711)


def write_json(path: Path, value: Any) -> None:
    """Write a file that is there in whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(value, indent=2) + "\n")
    new.replace(path)


def read_json(path: Path) -> Any:
    """Read a file; {} where there is none, or none that can be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
