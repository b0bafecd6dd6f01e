"""What is to be known of a host itself, beside what the node exporter says."""

from __future__ import annotations

from collections.abc import Iterator

from farrier_metrics.exposition import Sample
from farrier_metrics.settings import Settings


def reboot(settings: Settings) -> Iterator[Sample]:
    """Yield whether upgraded packages wait for a reboot."""
    yield Sample("farrier_reboot_required", settings.reboot_required.exists())


def postgresql(settings: Settings) -> Iterator[Sample]:
    """Yield whether PostgreSQL of this host is the primary."""
    yield Sample("farrier_postgresql_primary", not is_replica(settings))


def is_replica(settings: Settings) -> bool:
    """Return whether PostgreSQL of this host follows another one, also while it is down."""
    return any(settings.postgresql.glob("[0-9]*/main/standby.signal"))
