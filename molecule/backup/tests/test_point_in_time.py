"""The database of an app comes back as it was at any moment, and nothing else of its cluster is touched."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conftest import INVENTORY, Notes, started
from testinfra.host import Host

from tests.harness.deploys import run

BEFORE = [f"before-{number}" for number in range(500)]
HOME = "/var/lib/farrier-backup/postgresql"
CARRY = started("farrier-backup-wal.service")
SETTINGS = "/etc/pgbackrest/farrier.conf"
WAITING = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
WITHIN_SECONDS = 120
# What nobody but the app may do with its database, and what is set for it.
RIGHTS = """
    SELECT pg_get_userbyid(datdba), datacl, datcollate, shobj_description(d.oid, 'pg_database'), setconfig
    FROM pg_database d LEFT JOIN pg_db_role_setting ON setdatabase = d.oid WHERE datname = 'notes'
"""


def query(database: Host, sql: str, name: str = "postgres") -> str:
    """What PostgreSQL answers to its superuser."""
    return str(database.check_output(f'sudo -u postgres psql -XAtd {name} -c "{sql}"'))


def now(database: Host) -> str:
    """The moment, to the microsecond."""
    return query(database, "SELECT clock_timestamp()")


@pytest.fixture(scope="module")
def moment(keepers: list[Notes], database: Host) -> str:
    """A moment between two backups, after which more rows were written and the table was dropped."""
    query(database, "DROP DATABASE IF EXISTS bystander")
    query(database, "CREATE DATABASE bystander")
    query(database, "CREATE TABLE kept AS SELECT 1", "bystander")
    query(database, "ALTER DATABASE notes SET statement_timeout = '77s'")
    first, second = keepers
    first.drop_rows()
    second.save()
    first.write_rows(*BEFORE)
    found = now(database)
    second.write_rows("later")
    first.drop_rows()
    return found


def test_a_missing_segment_is_said_and_nothing_is_touched(
    keepers: list[Notes], database: Host, moment: str
) -> None:
    """Of the WAL behind the backup that the moment needs."""
    keepers[1].host.check_output(CARRY)
    segments = f"{HOME}/repository/archive/main/*/*/*.zst"
    newest = database.check_output(f"ls -t {segments} | tail -n +2 | head -1")
    with moved(database, newest):
        keepers[0].write_rows("live")
        refused = run(INVENTORY, "restore", at=now(database), confirm="yes")
        assert refused.failed
        name = newest.rpartition("/")[2][:24]
        assert re.search(rf"WAL {name} is missing .* choose a moment from", refused.output), refused.output
        assert f"WAL {name} is missing" in keepers[1].alarm()
        assert keepers[0].read_rows() == ["live"]
    assert keepers[1].status().succeeded


@contextmanager
def moved(host: Host, path: str) -> Iterator[None]:
    """Have something elsewhere meanwhile."""
    host.check_output(f"mv {path} /root/moved")
    try:
        yield
    finally:
        host.check_output(f"mv /root/moved {path}")


def test_the_backup_host_has_what_the_database_host_lacks(
    keepers: list[Notes], database: Host, moment: str
) -> None:
    """Until the WAL that was carried last."""
    with moved(database, f"{HOME}/repository/backup"):
        database.check_output(f"install -d -o postgres {HOME}/repository/backup")
        dry = run(INVENTORY, "restore", at=moment)
        late = run(INVENTORY, "restore", at=now(database))
        database.check_output(f"rm -r {HOME}/repository/backup")
    assert "from the repository of the backup host" in dry.output, dry.output
    assert not dry.failed
    assert late.failed
    assert "WAL on the backup host reaches until" in late.output


def test_the_moment_before_a_mistake_comes_back(keepers: list[Notes], database: Host, moment: str) -> None:
    """All rows that were written before it, and none of later; what was there before the restore is kept."""
    rights = query(database, RIGHTS)
    restored = run(INVENTORY, "restore", at=moment, confirm="yes")
    assert not restored.failed, restored.output
    assert [notes.read_rows() for notes in keepers] == [BEFORE] * 2
    kept = re.search(r"The one before is now (notes-\w+)", restored.output)
    assert kept, restored.output
    assert query(database, "SELECT text FROM rows", kept[1]) == "live"
    assert query(database, RIGHTS) == rights
    assert query(database, "SELECT * FROM kept", "bystander") == "1"
    assert not database.file(f"{HOME}/restore").exists
    keepers[0].write_rows("it goes on")
    again = run(INVENTORY, "site", ["--tags", "postgresql"])
    assert not again.failed
    assert "changed=1" not in again.output, again.output


def test_wal_is_dropped_rather_than_fill_the_disk(keepers: list[Notes], database: Host) -> None:
    """Where its repository takes none. The app goes on; status says it until the next backup."""
    notes = keepers[1]
    notes.save()
    database.check_output(
        f"cp -p {SETTINGS} /root && sed -i 's/^\\(archive-push-queue-max\\)=.*/\\1=16MB/' {SETTINGS}"
    )
    with moved(database, f"{HOME}/repository/archive"):
        for _ in range(4):
            query(database, "SELECT txid_current(), pg_switch_wal()")
        deadline = time.monotonic() + WITHIN_SECONDS
        while int(query(database, WAITING)) > 1:
            assert time.monotonic() < deadline
    database.check_output(f"mv /root/farrier.conf {SETTINGS}")
    database.check_output(CARRY)
    assert "no moment from" in notes.alarm()
    notes.write_rows("meanwhile")
    notes.save()
    assert notes.status().succeeded
