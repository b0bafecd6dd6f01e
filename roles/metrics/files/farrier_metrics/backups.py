"""How old backups and proofs of this host are, from the records that farrier-backup keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from farrier_metrics.exposition import Sample
from farrier_metrics.host import is_replica
from farrier_metrics.reading import json_object, number, slug
from farrier_metrics.settings import Settings

# Its record, and what the metrics call it.
_POSTGRESQL = ("postgresql.main", "postgresql")
_FAILURES = ("unsaved", "unproven", "uncarried")


def samples(settings: Settings) -> Iterator[Sample]:
    """Yield how the backups of the host do; raises OSError if it is not known what is saved."""
    saved, _ = json_object(settings.backup_settings)
    if not isinstance(saved.get("apps"), dict):
        raise OSError(f"{settings.backup_settings} cannot be read")
    repository, _ = json_object(settings.backup_state / "repository.json")
    since = number(repository.get("since")) or 0.0
    recorded = [(app, app) for app in saved["apps"] if slug(app)]
    # A replica saves nothing; its primary does.
    has_postgresql = saved.get("databases") is not None and not is_replica(settings)
    for record, name in [*recorded, *([_POSTGRESQL] if has_postgresql else [])]:
        known, _ = json_object(settings.backup_state / "records" / f"{record}.json")
        labels = {"name": name}
        yield Sample("farrier_backup_timestamp_seconds", _at(known, "saved", since), labels)
        yield Sample("farrier_backup_proof_timestamp_seconds", _at(known, "proven", since), labels)
        is_unsound = bool(_part(known, "saved").get("unsound"))
        yield Sample("farrier_backup_problem", is_unsound or any(key in known for key in _FAILURES), labels)
        if record == _POSTGRESQL[0] and "saved" in known:
            until = number(_part(known, "carried").get("until"))
            yield Sample("farrier_backup_wal_timestamp_seconds", until or _at(known, "saved", since))


def _part(known: dict[str, Any], key: str) -> dict[str, Any]:
    part = known.get(key)
    return part if isinstance(part, dict) else {}


def _at(known: dict[str, Any], key: str, since: float) -> float:
    return number(_part(known, key).get("at")) or since
