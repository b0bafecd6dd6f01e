"""Restore the database of one app to a moment, beside those of others; prove that it can be done."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from farrier_backup import pgbackrest, postgresql, records
from farrier_backup.errors import BackupError
from farrier_backup.pgbackrest import HOME, REPOSITORY, STANZA, Point
from farrier_backup.postgresql import NAME, query
from farrier_backup.records import size
from farrier_backup.restic import Restic, Snapshot
from farrier_backup.scratch import Scratch, clear, cluster
from farrier_backup.settings import Settings, open_way
from farrier_backup.times import shown

MARGIN_BYTES = 256 * 2**20
HERE = "here"
_INFOS = (f"backup/{STANZA}/backup.info", f"archive/{STANZA}/archive.info")


@dataclass(frozen=True)
class Choice:
    """From what a database is restored.

    Args:
        snapshot: of the repository, on the backup host; HERE for the repository of this host.
        point: the backup to begin with.
    """

    snapshot: str
    point: Point

    @property
    def id(self) -> str:
        """What names it in the next step."""
        return f"{self.snapshot}:{self.point.label}"


def plan(app: str, at: datetime | None, settings: Settings) -> tuple[str, str]:
    """Say what a restore of a database would do; change nothing.

    Returns:
        What names the choice in the next steps, and a text.
    """
    choice = choose(at, settings)
    where = "of this host" if choice.snapshot == HERE else f"of the backup host ({choice.snapshot[:8]})"
    present = query(
        "SELECT coalesce(pg_database_size(oid), 0) FROM pg_database WHERE datname = :'app'", app=app
    )
    moment = f"as it was at {shown(at)}" if at else "as it was last"
    return choice.id, (
        f"{app}: its database, {moment}, from the repository {where} (backup {choice.point.label}), would "
        f"replace the one that is there ({size(int(present or 0))}), which would be kept under another name"
    )


def choose(at: datetime | None, settings: Settings) -> Choice:
    """Return the backup from which a moment can be restored, of this host's repository where it has one.

    Raises:
        BackupError: there is none.
    """
    if point := pgbackrest.fitting(pgbackrest.points(), at):
        _check_wal(point, at, REPOSITORY)
        return Choice(HERE, point)
    snapshots = Restic(settings).snapshots(NAME)
    if not snapshots:
        raise BackupError("there is no backup of PostgreSQL of this host", "systemctl start farrier-backup")
    later = [one for one in snapshots if at is None or one.time >= at]
    if not later:
        raise BackupError(
            f"WAL on the backup host reaches until {shown(snapshots[-1].time)}, not {shown(at)}",
            "choose an earlier moment by `at`, or leave it out",
        )
    snapshot = later[0] if at else later[-1]
    found = _points_of(snapshot, settings)
    point = pgbackrest.fitting(found, at)
    if point is None:
        raise BackupError(
            f"there is no backup of PostgreSQL as old as {shown(at)}",
            f"choose a moment after {shown(found[0].stop if found else snapshot.time)}",
        )
    return Choice(snapshot.id, point)


def _check_wal(point: Point, at: datetime | None, repository: Path) -> None:
    gap = pgbackrest.gap(point, repository)
    if gap and (at is None or at > gap.until):
        raise BackupError(
            f"WAL {gap.segment} is missing behind the backup {point.label}",
            f"choose a moment from {shown(point.stop)} to {shown(gap.until)}",
        )


def _points_of(snapshot: Snapshot, settings: Settings) -> list[Point]:
    """Return the backups of a repository on the backup host, of which only the list is brought here."""
    home = HOME / "list"
    clear(home)
    try:
        included = [f"--include={REPOSITORY / name}" for name in _INFOS]
        return pgbackrest.points(_fetch(snapshot.id, home, settings, *included))
    finally:
        shutil.rmtree(home)


def _fetch(snapshot: str, home: Path, settings: Settings, *options: str) -> Path:
    """Bring a repository here from the backup host, whatever number its user had there."""
    Restic(settings).call("restore", snapshot, f"--target={home / 'brought'}", *options)
    return pgbackrest.own(home / "brought") / REPOSITORY.relative_to("/")


def _repository(choice: Choice, home: Path, settings: Settings) -> Path:
    """Return the repository of a choice, brought here if need be, once there is space."""
    needed = 2 * choice.point.bytes  # the cluster, and the copy of a database
    if choice.snapshot != HERE:
        needed += Restic(settings).bytes_of(Snapshot(choice.snapshot, datetime.now()))
    free = shutil.disk_usage(home).free
    if free < needed + MARGIN_BYTES:
        raise BackupError(
            f"a restore takes {size(needed)}, and {home} has {size(free)} free", "free space there"
        )
    return REPOSITORY if choice.snapshot == HERE else _fetch(choice.snapshot, home, settings)


def prepare(app: str, identifier: str, at: datetime | None, settings: Settings) -> str:
    """Restore a database to a moment, under another name; the app goes on meanwhile.

    Raises:
        BackupError: that cannot be done. Nothing has changed.
    """
    home = HOME / "restore"
    clear(home)
    try:
        snapshot, _, label = identifier.partition(":")
        if snapshot == HERE:
            # If it fails, the WAL that is there may reach an earlier moment all the same.
            with suppress(*[BackupError] if at else []):
                postgresql.archive_all()
            found = pgbackrest.points()
        else:
            found = _points_of(Snapshot(snapshot, datetime.now()), settings)
        point = next((one for one in found if one.label == label), None)
        if point is None:
            raise BackupError(
                f"the backup {label} is no longer there", "ansible-playbook farrier.kit.restore again"
            )
        repository = _repository(Choice(snapshot, point), home, settings)
        _check_wal(point, at, repository)
        only = app if has_database(point, app, repository) else ""
        began = time.monotonic()
        with cluster(home, repository, point, at, only) as scratch:
            recovered = time.monotonic()
            _load(app, scratch)
            copied = time.monotonic()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    took = f"recovered in {recovered - began:.1f} s, copied in {copied - recovered:.1f} s"
    return f"{app}: its database is beside the one that it uses ({took})"


def has_database(point: Point, app: str, repository: Path) -> bool:
    """Tell whether a backup has a database, which later ones may be without, and earlier ones, too."""
    said = json.loads(pgbackrest.call("info", "--output=json", f"--set={point.label}", repository=repository))
    return any(one["name"] == app for one in said[0]["backup"][0].get("database-ref", []))


def _load(app: str, scratch: Scratch) -> None:
    """Copy a database into the cluster of this host, with its owner, rights, settings and extensions."""
    if scratch.query("SELECT 1 FROM pg_database WHERE datname = :'app'", app=app) != "1":
        raise BackupError(f"there was no database {app} at that moment", "choose a later one by `at`")
    name = _restored(app)
    query('DROP DATABASE IF EXISTS :"name" WITH (FORCE)', name=name)  # of a restore that was ended
    scratch.query('ALTER DATABASE :"app" RENAME TO :"name"', app=app, name=name)
    dump = [
        str(scratch.programs / "pg_dump"),
        f"--host={scratch.socket}",
        "--format=custom",
        "--compress=0",
        "--create",
        name,
    ]
    load = [str(scratch.programs / "pg_restore"), "--create", "--exit-on-error", "--dbname=postgres"]
    rights = pgbackrest.rights()
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(dump, stdout=subprocess.PIPE, stderr=said, **rights) as dumping,
    ):
        loading = subprocess.run(load, stdin=dumping.stdout, stderr=said, **rights)
        if dumping.stdout:
            dumping.stdout.close()  # it may wait for a reader
        if dumping.wait() != 0 or loading.returncode != 0:
            query('DROP DATABASE IF EXISTS :"name" WITH (FORCE)', name=name)
            said.seek(0)
            raise BackupError(
                f"the database of {app} cannot be copied: {said.readline().strip() or 'it said nothing'}",
                "see whether its roles and extensions are there",
            )
    pgbackrest.as_postgres(["vacuumdb", "--quiet", "--analyze-only", f"--dbname={name}"])


def swap(app: str) -> str:
    """Let the prepared database take the place of the one that is there, in one step.

    Raises:
        BackupError: it is not prepared, or somebody does not leave the one that is there.
    """
    kept = f"{app}-{time.strftime('%Y%m%dt%H%M%S')}"
    has = "SELECT 1 FROM pg_database WHERE datname = :'name'"
    if query(has, name=_restored(app)) != "1":
        raise BackupError(
            f"the database of {app} is not prepared", "ansible-playbook farrier.kit.restore again"
        )
    rename = 'ALTER DATABASE :"restored" RENAME TO :"app";'
    if query(has, name=app) == "1":
        # Who is connected would go on with the one that is kept.
        rename = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = :'app';\n"
            f'BEGIN; ALTER DATABASE :"app" RENAME TO :"kept"; {rename} COMMIT;'
        )
    query(rename, app=app, restored=_restored(app), kept=kept)
    return f"{app}: its database is restored. The one before is now {kept}"


def _restored(app: str) -> str:
    # No app has such a name.
    return f"{app}.restored"


@contextmanager
def proven(settings: Settings) -> Iterator[tuple[str, Path | None]]:
    """Restore the newest backup of the backup host into a scratch cluster; read each database in whole.

    Yields:
        What to say, and a directory with the socket of that cluster, by which apps reach their databases in
        it; None if there is no cluster.

    Raises:
        BackupError: it cannot be done.
    """
    snapshots = Restic(settings).snapshots(NAME)
    if not snapshots and "saved" not in records.read(NAME):
        yield "PostgreSQL: it has no backup yet", None
        return
    if not snapshots:
        raise BackupError(
            "there is no backup of PostgreSQL on the backup host", "systemctl start farrier-backup"
        )
    point = _points_of(snapshots[-1], settings)[-1]
    home = HOME / "proof"
    clear(home)
    try:
        repository = _repository(Choice(snapshots[-1].id, point), home, settings)
        with cluster(home, repository, point, None) as scratch:
            there = scratch.query("SELECT datname FROM pg_database").splitlines()
            names = [name for name in settings.databases or [] if name in there]
            for name in names:
                scratch.run("pg_amcheck", "--install-missing", f"--database={name}")
                scratch.run("pg_dump", "--file=/dev/null", name)
            records.note(NAME, "proven", {"id": point.label, "databases": names})
            open_way(scratch.socket)
            said = f"the backup {point.label} can be restored, with {', '.join(names) or 'no database'}"
            yield f"PostgreSQL: {said}", scratch.socket
    finally:
        shutil.rmtree(home, ignore_errors=True)
