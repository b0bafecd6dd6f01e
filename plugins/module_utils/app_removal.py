"""What an app has on a host, found by its name, to be stopped, saved and removed."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

UNITS = Path("etc/systemd/system")
USERS = Path("etc/sysusers.d/farrier.conf")
STATE = Path("var/lib/farrier")
ARCHIVES = Path("var/backups/farrier")
# Of each app, its directory below them.
DIRECTORIES = ("srv", "etc/farrier", "var/log/farrier", "var/cache/farrier", "run/farrier", STATE)
# Of the packages that `site.yml` has brought, see `needs`.
PACKAGES = Path("/var/lib/misc/farrier-packages")
_KINDS = (".service", ".socket", ".timer")


def needs(app: str, package: str) -> str:
    """Return the line of the record that says that a package was brought for an app."""
    return f"{app} needs {package}"


def brought(text: str) -> list[tuple[str, str]]:
    """Return app and package of each line of a record; lines of another kind are passed over."""
    found = (line.partition(" needs ") for line in text.splitlines())
    return [(app, package) for app, separator, package in found if separator]


class App:
    """An app on a host, whatever the inventory says.

    Args:
        name: Of the app.
        root: Of the host's file system.
    """

    def __init__(self, name: str, root: Path = Path("/")) -> None:
        self.name = name
        self.root = root
        self.slice = f"farrier-{name.replace('-', '_')}.slice"
        self.transaction = f"farrier-{name}-transaction.service"
        """In which a deploy is carried on."""
        self.state = root / STATE / name

    @property
    def is_declared(self) -> bool:
        """Whether the last run of `site.yml` knew the app: the next boot would bring its user back."""
        users = self.root / USERS
        lines = users.read_text().splitlines() if users.exists() else []
        return any(line.split()[:2] == ["u", self.name] for line in lines)

    def units(self) -> list[str]:
        """Return the names of its unit files: what runs in its slice, and the sockets and timers of that."""
        directory = self.root / UNITS
        services = {
            path.stem
            for path in directory.glob(f"{self.name}*.service")
            if f"Slice={self.slice}" in path.read_text().splitlines()
        }
        return sorted(
            path.name
            for path in directory.glob(f"{self.name}*")
            if path.suffix in _KINDS and (path.stem in services or path.stem == self.name)
        )

    def links(self) -> list[Path]:
        """Return what enables its units."""
        units = set(self.units())
        return [
            path
            for path in sorted((self.root / UNITS).glob("*.wants/*"))
            if path.is_symlink()
            and (path.readlink().name in units or path.name == f"farrier-recover@{self.name}.service")
        ]

    def archive(self, now: datetime | None = None) -> Path:
        """Return where its state is saved at a time, by default now."""
        return self.root / ARCHIVES / f"{self.name}-{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz"

    @property
    def has_state(self) -> bool:
        """Whether there is anything to save."""
        return self.state.is_dir() and any(self.state.iterdir())

    def packages(self) -> tuple[list[str], list[str]]:
        """Return the packages that were brought for this app and no other, and the record without the app."""
        record = self.root / PACKAGES.relative_to("/")
        pairs = brought(record.read_text()) if record.exists() else []
        others = [(app, package) for app, package in pairs if app != self.name]
        own = {package for app, package in pairs if app == self.name}
        return sorted(own - {package for _, package in others}), [needs(*pair) for pair in others]

    def remove_files(self) -> None:
        """Remove everything but its users and the archive."""
        for path in [*self.links(), *(self.root / UNITS / unit for unit in self.units())]:
            path.unlink()
        for directory in DIRECTORIES:
            path = self.root / directory / self.name
            if os.path.lexists(path):
                shutil.rmtree(path)
