"""Backups that work are proven; those that do not are said, and harm no app."""

from __future__ import annotations

from conftest import DATABASE_HOST, INVENTORY, REPOSITORIES, Notes, broken, side_by_side, started
from testinfra.host import Host

from tests.harness.deploys import run

PROOF = started("farrier-backup-proof.service")


def test_a_backup_that_the_check_refuses_is_an_alarm(keepers: list[Notes]) -> None:
    """A database that is sound may lack what matters. A live one in which it is all right is not asked."""
    keepers[1].drop_rows()
    keepers[1].write_rows("saved")

    def refused(notes: Notes) -> str:
        notes.delete_all()
        notes.write("one", "two")
        notes.upload("expected-notes", "99")
        notes.upload("expected-rows", "2")
        notes.save()
        if notes.name == DATABASE_HOST:
            notes.write_rows("later")
        assert notes.host.run(PROOF).failed
        return notes.alarm()

    alarms = side_by_side(refused, keepers)
    assert all("2 notes instead of 99" in alarm for alarm in alarms)
    assert "99, 1 rows instead of 2" in alarms[1]
    said = run(INVENTORY, "status")
    assert said.failed
    assert "2 notes instead of 99" in said.output


def test_the_newest_backup_is_proven(keepers: list[Notes]) -> None:
    """With the operator's check, which finds what was restored, not what the app has by now."""

    def proven(notes: Notes) -> None:
        notes.upload("expected-notes", "2")
        notes.save()
        notes.write("three")
        if notes.name == DATABASE_HOST:
            notes.drop_rows()
        notes.host.check_output(PROOF)
        assert notes.known()["proven"]["id"] == notes.known()["saved"]["id"]
        assert not notes.host.file("/var/lib/farrier-backup/proof").exists

    side_by_side(proven, keepers)
    said = run(INVENTORY, "status")
    assert not said.failed, said.output
    assert said.output.count("restore proven") == len(keepers) + 1
    assert keepers[1].host.run("grep -w notes /var/lib/farrier-backup/records/postgresql.main.json").succeeded


def test_timers_wait_for_their_time(keepers: list[Notes], vault: Host) -> None:
    """Each knows when it is due."""
    units = [(notes.host, unit) for notes in keepers for unit in ("farrier-backup", "farrier-backup-proof")]
    units += [(keepers[1].host, "farrier-backup-wal"), (vault, "farrier-backup-prune")]
    for host, unit in units:
        assert host.check_output(f"systemctl show --value -p NextElapseUSecRealtime {unit}.timer")


def fails(keepers: list[Notes], cause: str) -> None:
    """Each backup fails, for this cause, and the app does not notice."""
    for notes in keepers:
        notes.write("meanwhile")
        expected = 2 if notes.name == DATABASE_HOST else 1  # its files, and PostgreSQL
        assert len([line for line in notes.fail_to_save().splitlines() if cause in line]) == expected
        assert notes.read()[-1] == "meanwhile"


def test_a_repository_that_is_away_is_said(keepers: list[Notes], vault: Host) -> None:
    """The connection of this test stays."""
    with broken(vault, "systemctl stop ssh", "systemctl start ssh"):
        fails(keepers, "the backup host does not answer")
    for notes in keepers:
        notes.save()
        assert notes.status().succeeded


def test_a_full_disk_is_said(keepers: list[Notes], vault: Host) -> None:
    """Backups leave what pruning needs."""
    with broken(vault, f"fallocate -l 200M {REPOSITORIES}/ballast", f"rm {REPOSITORIES}/ballast"):
        fails(keepers, "the disk of the backup host is full")
    side_by_side(Notes.save, keepers)


def test_a_repository_that_is_lost_is_not_made_anew(keepers: list[Notes], vault: Host) -> None:
    """Its disk may not be mounted."""
    moves = [(f"{REPOSITORIES}/{notes.name}", f"{REPOSITORIES}/.{notes.name}") for notes in keepers]
    there = " && ".join(f"mv {path} {away}" for path, away in moves)
    back = " && ".join(f"mv {away} {path}" for path, away in moves)
    with broken(vault, there, back):
        fails(keepers, "the repository is not on the backup host")
        assert vault.check_output(f"ls {REPOSITORIES}") == ""


def test_a_wrong_passphrase_is_said(keepers: list[Notes]) -> None:
    """And nothing is written."""
    path = "/etc/farrier-backup/passphrase"
    for notes in keepers:
        with broken(
            notes.host, f"cp {path} /root && echo another-passphrase > {path}", f"mv /root/passphrase {path}"
        ):
            fails([notes], "backup_passphrase does not open the repository")


def test_a_host_that_is_taken_over_removes_nothing(keepers: list[Notes], vault: Host) -> None:
    """root of an app host has the key and the passphrase, and tries."""
    listing = f"cd {REPOSITORIES} && find . -type f ! -path '*/locks/*' -exec sha256sum {{}} + | sort"
    before = vault.check_output(listing)

    def try_all(notes: Notes) -> None:
        notes.restic("unlock")
        ids = notes.snapshots()
        # restic tries what is refused again and again; once is enough.
        assert "403" in notes.restic("forget", *ids, "2>&1 | grep --max-count=1 returned").stdout
        assert notes.snapshots() == ids
        assert b"uid=" not in notes.ssh("id").stdout_bytes  # restic's protocol is no text

    side_by_side(try_all, keepers)
    assert vault.check_output(listing) == before
    side_by_side(Notes.save, keepers)  # what was tried has left locks


def test_strangers_have_no_access(keepers: list[Notes]) -> None:
    """Nor does a host get at the repository of another one: it has no say in which one it is."""
    first, second = keepers
    assert not set(first.snapshots()) & set(second.snapshots())
    first.host.check_output(
        "rm -f /root/stranger /root/stranger.pub; ssh-keygen -q -t ed25519 -N '' -f /root/stranger"
    )
    assert "Permission denied" in first.ssh("id", key="/root/stranger").stderr
