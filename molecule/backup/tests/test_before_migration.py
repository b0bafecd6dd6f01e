"""A deploy saves what a migration may spoil, right before it; what cannot be saved is not migrated."""

from __future__ import annotations

import re

import pytest
from conftest import INVENTORY, Notes, broken, side_by_side
from testinfra.host import Host

from tests.harness.deploys import Run, run

HOME = "/var/lib/farrier-backup/postgresql"


def deploy(name: str, host: str = "all") -> Run:
    """A deploy that has something to do."""
    return run(INVENTORY, "deploy", ["--limit", host], deploy_round=name)


def live(notes: Notes) -> str:
    """The release that serves."""
    return notes.host.check_output("readlink /srv/notes/current")


@pytest.fixture(scope="module")
def saved(keepers: list[Notes]) -> list[Notes]:
    """The apps, each with a backup."""
    side_by_side(Notes.save, keepers)
    return keepers


@pytest.mark.parametrize("number", [0, 1], ids=["database elsewhere", "database here"])
def test_what_a_migration_has_spoilt_comes_back(saved: list[Notes], number: int) -> None:
    """Up to the last row that was written before it, by the command that the failed deploy has named."""
    notes = saved[number]
    notes.drop_rows()
    notes.write("last")
    notes.upload("migration", "fail")
    written = notes.read()
    notes.write_rows("last")
    before = live(notes)
    failed = deploy("spoilt", notes.name)
    assert failed.failed
    assert live(notes) == before
    assert notes.read() == notes.read_rows() == []
    named = re.search(r"farrier.kit.restore -e app=notes -e at=(\S+:\d\d\.\d+\+00:00)", failed.output)
    assert named, failed.output
    restored = run(INVENTORY, "restore", ["--limit", f"{notes.name},keeper13"], at=named[1], confirm="yes")
    assert not restored.failed, restored.output
    assert notes.read() == written
    assert notes.read_rows() == ["last"]


def test_a_rollback_names_the_moment(keepers: list[Notes]) -> None:
    """Its own data go back by an order alone."""
    first = keepers[0]
    first.upload("migration", "succeed")
    deployed = deploy("good")
    assert not deployed.failed, deployed.output
    assert first.read() == []
    back = run(INVENTORY, "rollback")
    assert not back.failed, back.output
    assert len(re.findall(r"To restore what it kept before the migration: .* -e at=\S+", back.output)) == 1
    assert first.read() == []
    first.host.check_output("rm /var/lib/farrier/notes/uploads/migration")


def test_a_database_that_cannot_be_saved_stops_the_deploy(keepers: list[Notes], database: Host) -> None:
    """Before any host begins."""
    before = [live(notes) for notes in keepers]
    with broken(database, f"mv {HOME}/repository/backup /root", f"mv /root/backup {HOME}/repository"):
        failed = deploy("refused")
    assert failed.failed
    assert "PostgreSQL has no backup yet" in failed.output, failed.output
    assert "set backup_before_migrate of the app to false" in failed.output
    assert [live(notes) for notes in keepers] == before
    assert "Acquire the lease" not in failed.output.partition("was not saved")[2]


def test_files_that_cannot_be_saved_are_not_migrated(keepers: list[Notes], vault: Host) -> None:
    """The host says why, and how to go on without."""
    before = [live(notes) for notes in keepers]
    with broken(vault, "systemctl stop ssh", "systemctl start ssh"):
        failed = deploy("away")
    assert failed.failed
    assert "notes was not saved, so nothing was migrated" in failed.output, failed.output
    assert "the backup host does not answer" in failed.output
    assert [live(notes) for notes in keepers] == before
