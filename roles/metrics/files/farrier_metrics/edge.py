"""What an edge serves: certificates, drained hosts, maintenance mode."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

from farrier_metrics.exposition import Sample
from farrier_metrics.reading import names, slug
from farrier_metrics.settings import Settings

_OPENSSL_SECONDS = 10


class Certificates:
    """When each ends. A file is only read again when it has changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[str, tuple[tuple[int, int], float]] = {}

    def samples(self) -> Iterator[Sample]:
        """Yield when each ends; raises ExceptionGroup, after the others, if some cannot be read."""
        errors = []
        for name, directory in self._settings.certificates.items():
            try:
                end = self._end(name, directory)
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                errors.append(error)
            else:
                yield Sample("farrier_certificate_expiry_timestamp_seconds", end, {"name": name})
        if errors:
            raise ExceptionGroup(", ".join(map(str, errors)), errors)

    def _end(self, name: str, directory: Path) -> float:
        path = directory / "fullchain.pem"
        information = path.stat()
        version = (information.st_ino, information.st_mtime_ns)
        if name not in self._known or self._known[name][0] != version:
            self._known[name] = (version, not_after(path))
        return self._known[name][1]


def not_after(path: Path) -> float:
    """Return when the first certificate of a file ends, in seconds since 1970."""
    command = ["openssl", "x509", "-noout", "-enddate", "-in", str(path)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=_OPENSSL_SECONDS)
    word, _, date = shown.stdout.strip().partition("=")
    if shown.returncode != 0 or word != "notAfter":
        raise ValueError(f"{path}: {shown.stderr.strip() or 'no certificate'}")
    return float(ssl.cert_time_to_seconds(date))


def drained(settings: Settings) -> Iterator[Sample]:
    """Yield the hosts that this edge sends nothing to."""
    for host in filter(slug, names(settings.drained_directory)):
        yield Sample("farrier_drained", 1, {"host": host})


def maintenance(settings: Settings) -> Iterator[Sample]:
    """Yield of each app whether it is in maintenance mode."""
    there = set(names(settings.maintenance_directory))
    for app in settings.edge_apps:
        yield Sample("farrier_maintenance", app in there, {"app": app})
