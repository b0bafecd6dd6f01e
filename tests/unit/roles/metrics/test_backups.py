"""How old backups and proofs are, by the records of farrier-backup."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from farrier_backup import postgresql, records
from farrier_metrics import backups, host
from farrier_metrics.settings import Settings

from tests.unit.roles.metrics.values import values


@pytest.fixture
def state(settings: Settings) -> Path:
    """State of farrier-backup on a host whose backups have just been set up."""
    configure(settings, apps={"shop": ""}, databases=["shop"])
    settings.backup_state.mkdir(parents=True)
    (settings.backup_state / "repository.json").write_text('{"since": 100.0}')
    return settings.backup_state


def configure(settings: Settings, **saved: Any) -> None:
    """Say what is saved."""
    settings.backup_settings.parent.mkdir(parents=True, exist_ok=True)
    settings.backup_settings.write_text(json.dumps(saved))


def found(settings: Settings) -> dict[str, float]:
    """Return what is told."""
    return values(backups.samples(settings))


def test_until_the_first_backup_time_counts_from_the_repository(settings: Settings, state: Path) -> None:
    """An alarm at once would be one too many, and none at all one too few."""
    assert found(settings) == {
        "backup_timestamp_seconds{shop}": 100,
        "backup_proof_timestamp_seconds{shop}": 100,
        "backup_problem{shop}": 0,
        "backup_timestamp_seconds{postgresql}": 100,
        "backup_proof_timestamp_seconds{postgresql}": 100,
        "backup_problem{postgresql}": 0,
    }


def test_records_of_farrier_backup_are_understood(
    settings: Settings, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it writes them."""
    monkeypatch.setattr("time.time", lambda: 500.0)
    records.note("shop", "saved", {"id": "x", "bytes": 5}, state)
    records.note(postgresql.NAME, "proven", {}, state)
    records.note(postgresql.NAME, "saved", {"id": "x", "bytes": 5, "databases": {}}, state)
    records.note(postgresql.NAME, "carried", {"until": 450.0}, state)
    assert found(settings)["backup_timestamp_seconds{shop}"] == 500
    assert found(settings)["backup_proof_timestamp_seconds{postgresql}"] == 500
    assert found(settings)["backup_wal_timestamp_seconds"] == 450


@pytest.mark.parametrize("key", ["unsaved", "unproven", "uncarried"])
def test_failure_is_a_problem_until_the_next_success(settings: Settings, state: Path, key: str) -> None:
    """Of whatever was tried."""
    records.note("shop", key, {"why": "the disk is full"}, state)
    assert found(settings)["backup_problem{shop}"] == 1
    records.note("shop", key.removeprefix("un"), {}, state)
    assert found(settings)["backup_problem{shop}"] == 0


def test_unsound_database_is_a_problem(settings: Settings, state: Path) -> None:
    """It was saved as the file that it is."""
    records.note("shop", "saved", {"unsound": {"db.sqlite3": "malformed"}}, state)
    assert found(settings)["backup_problem{shop}"] == 1


def test_replica_saves_nothing(settings: Settings, state: Path) -> None:
    """Its primary does."""
    assert values(host.postgresql(settings)) == {"postgresql_primary": 1}
    (settings.postgresql / "17" / "main").mkdir(parents=True)
    (settings.postgresql / "17" / "main" / "standby.signal").touch()
    assert values(host.postgresql(settings)) == {"postgresql_primary": 0}
    assert "backup_problem{postgresql}" not in found(settings)


def test_host_without_databases_has_its_apps(settings: Settings, state: Path) -> None:
    """A name that is no name is left out."""
    configure(settings, apps={"shop": "", "a\nb": ""}, databases=None)
    assert {key for key in found(settings) if key.startswith("backup_problem")} == {"backup_problem{shop}"}


@pytest.mark.parametrize(
    "record", ["[]", '{"saved": 5, "proven": {"at": "x"}}', '{"saved": {"at": NaN}}', "{"]
)
def test_odd_record_is_none(settings: Settings, state: Path, record: str) -> None:
    """Then the time counts from the repository."""
    (state / "records").mkdir()
    (state / "records" / "shop.json").write_text(record)
    assert found(settings)["backup_timestamp_seconds{shop}"] == 100


def test_it_is_an_error_not_to_know_what_is_saved(settings: Settings) -> None:
    """The part that fails is a metric."""
    with pytest.raises(OSError, match="settings"):
        found(settings)
