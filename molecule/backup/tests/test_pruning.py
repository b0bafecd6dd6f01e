"""What is past its time is dropped, and nothing else is."""

from __future__ import annotations

from conftest import Notes, side_by_side, started
from testinfra.host import Host

# What the others restore is gone afterwards.
RUNS_LAST = True
PRUNE = started("farrier-backup-prune.service")


def test_times_that_are_made_up_drop_nothing(keepers: list[Notes], vault: Host) -> None:
    """A host that is taken over could make backups of days to come, to be kept in place of true ones."""
    side_by_side(Notes.save, keepers)
    first, second = keepers
    ids = first.snapshots()
    first.restic(
        "backup", "--tag=notes", f"--host={first.name}", "--time='2037-01-01 12:00:00'", "/etc/hostname"
    )
    assert vault.run(PRUNE).failed
    assert set(ids) < set(first.snapshots())
    assert [len(second.snapshots(tag)) for tag in ("notes", "postgresql.main")] == [1, 1]
    said = vault.run("farrier-backup status")
    assert said.rc == 1
    assert "say another time than that of their arrival" in said.stdout
    (untrue,) = set(first.snapshots()) - set(ids)
    vault.check_output(f"rm /var/lib/farrier-repositories/{first.name}/snapshots/{untrue}")


def test_the_last_one_of_a_day_is_kept(keepers: list[Notes], vault: Host) -> None:
    """Pruning has checked that it is whole."""
    vault.check_output(PRUNE)
    assert vault.run("farrier-backup status").succeeded
    for notes in keepers:
        assert [one[:8] for one in notes.snapshots("notes")] == [notes.known()["saved"]["id"]]
