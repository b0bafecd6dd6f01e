"""PostgreSQL of this host: saved into a repository here, which is carried to the backup host."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from farrier_backup import pgbackrest, records
from farrier_backup.errors import BackupError
from farrier_backup.pgbackrest import HOME, REPOSITORY, STANZA
from farrier_backup.restic import INCOMPLETE, Restic, meaning
from farrier_backup.save import check_repository, only_vanished
from farrier_backup.settings import Settings, open_way
from farrier_backup.times import shown

# Of its backups on the backup host, and of what is known of them. No app has such a name.
NAME = "postgresql.main"
# A full backup is due when the last one is about a week old.
FULL_DAYS = 6.5
MINUTE = 60
_SIZES = "SELECT datname, pg_database_size(oid) FROM pg_database WHERE datallowconn"


def query(sql: str, database: str = "postgres", socket: Path | None = None, **names: str) -> str:
    """Return what PostgreSQL answers to a superuser, `:"name"` and `:'name'` being filled in."""
    command = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
    command += [f"--set={name}={value}" for name, value in names.items()]
    command += [f"--host={socket}"] if socket else []
    return pgbackrest.as_postgres([*command, f"--dbname={database}"], sql).strip()


def initialise() -> bool:
    """Make the repository on this host, unless there is one; return whether it was made."""
    if is_standby() or (REPOSITORY / "archive" / STANZA / "archive.info").exists():
        return False
    open_way(HOME)
    for directory in (REPOSITORY, HOME / "lock"):
        pgbackrest.own(directory)
    pgbackrest.call("stanza-create", _data())
    return True


def is_standby() -> bool:
    """Whether another host has the cluster that this one follows: that one saves it."""
    return query("SELECT pg_is_in_recovery()") == "t"


def save(settings: Settings) -> str:
    """Make a backup of the cluster, drop what is past its time here, and carry all to the backup host."""
    if is_standby():
        return "PostgreSQL: this is a standby; its primary is saved"
    # After a promotion, pgBackRest finds the old timeline in pg_control until there is one.
    query("CHECKPOINT")
    initialise()
    kind = kind_due(pgbackrest.points(), datetime.now(UTC))
    pgbackrest.call("backup", _data(), f"--type={kind}", "--no-expire-auto")
    with _unchanged():
        pgbackrest.call("expire")
    newest = pgbackrest.points()[-1]
    if newest.is_damaged:
        raise BackupError(
            f"pages of the cluster have wrong checksums, see `pgbackrest info --set={newest.label}`",
            "restore the app whose database it is to a moment before",
        )
    carry(settings)
    found = dict(line.split("|") for line in query(_SIZES).splitlines())
    sizes = {name: int(found[name]) for name in settings.databases or [] if name in found}
    records.note(NAME, "saved", {"id": newest.label, "bytes": newest.bytes, "databases": sizes})
    return f"PostgreSQL: saved {records.size(newest.bytes)} ({kind})"


def kind_due(found: list[pgbackrest.Point], now: datetime) -> str:
    """Return whether the next backup has all, or what has changed since the last full one."""
    full = [one for one in found if one.label.endswith("F")]
    return "diff" if full and (now - full[-1].stop).total_seconds() < FULL_DAYS * 86_400 else "full"


def carry(settings: Settings) -> str:
    """Bring the repository of this host to the backup host, with all WAL until now.

    Raises:
        BackupError: WAL is not archived, or not carried.
    """
    if is_standby() or not pgbackrest.points():
        return "PostgreSQL: there is nothing to carry yet"
    until = time.time()
    try:
        archive_all()
        unarchived = None
    except BackupError as error:
        unarchived = error
    restic = Restic(settings)
    check_repository(restic)
    info = REPOSITORY / "backup" / STANZA / "backup.info"
    with _unchanged():
        named: bytes | None = None
        # A backup that ends meanwhile may be named there, and not be among what was carried.
        while named != (named := info.read_bytes()):
            words = ["backup", f"--tag={NAME}", f"--host={settings.host}", "--exclude=*.pgbackrest.tmp"]
            code, _, stderr = restic.attempt(*words, str(REPOSITORY))
            if code != 0 and not (code == INCOMPLETE and only_vanished(stderr)):
                raise meaning(stderr)
    if unarchived:
        raise unarchived
    records.note(NAME, "carried", {"until": until})
    return "PostgreSQL: WAL is carried"


def reach_now() -> str:
    """Make sure that the databases can be restored as they are now: by WAL, so it takes no backup.

    Raises:
        BackupError: they cannot.
    """
    if is_standby():
        return "this is a standby"
    points = pgbackrest.points()
    if not points:
        raise BackupError("PostgreSQL has no backup yet", "systemctl start farrier-backup")
    if gap := pgbackrest.gap(points[-1]):
        raise BackupError(f"WAL {gap.segment} is missing", "systemctl start farrier-backup")
    archive_all()
    return "saved"


def archive_all() -> None:
    """Have all WAL until now in the repository of this host.

    Raises:
        BackupError: it is not archived.
    """
    # A restore to a moment needs a later commit to see that the WAL reaches it.
    query("SELECT txid_current()")
    pgbackrest.call("check", _data())


def _data() -> str:
    return f"--pg1-path={query('SHOW data_directory')}"


@contextmanager
def _unchanged() -> Iterator[None]:
    """Drop nothing from the repository while it is carried."""
    with (HOME / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def report(settings: Settings, now: float | None = None) -> records.Report:
    """Return how old backup, WAL and proof of the cluster are, and whether that is too old."""
    now = time.time() if now is None else now
    found = records.report(NAME, settings, now=now)
    try:
        if is_standby():
            return records.Report(NAME, "it is a standby; its primary is saved", [])
    except BackupError as error:
        return records.Report(NAME, found.text, [*found.alarms, str(error)])
    known = records.read(NAME)
    if "saved" not in known:
        return found
    points = pgbackrest.points()
    behind = now - known.get("carried", {}).get("until", known["saved"]["at"])
    sizes = [f"{name} {records.size(count)}" for name, count in known["saved"]["databases"].items()]
    text = (
        f"WAL reaches from {shown(points[0].stop)} to {records.age(behind)} ago"
        if points
        else "no backup here"
    )
    alarms = list(found.alarms)
    if behind > settings.wal_max_age_minutes * MINUTE:
        why = known.get("uncarried", {}).get("why", "see whether farrier-backup-wal.timer runs")
        alarms.append(f"WAL was not carried to the backup host for {records.age(behind)}: {why}")
    if points and (gap := pgbackrest.gap(points[-1])):
        alarms.append(
            f"WAL {gap.segment} is missing: no moment from {shown(gap.until)} to the next backup can be "
            "restored. Next: systemctl start farrier-backup"
        )
    return records.Report(NAME, ", ".join([found.text, text, *sizes]), alarms)
