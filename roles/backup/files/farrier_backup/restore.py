"""Restore what an app kept: choose a backup, bring it here, check it, and let it replace what is there."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from farrier_backup import databases, point_in_time
from farrier_backup.errors import BackupError
from farrier_backup.records import size
from farrier_backup.restic import Restic, Snapshot
from farrier_backup.save import COPIES
from farrier_backup.settings import APPS, Settings, read_json, write_json
from farrier_backup.times import moment, shown

RELEASES = Path("/srv")
LOCKS = Path("/run/farrier")
MARGIN_BYTES = 256 * 2**20
_PLAYBOOK = "ansible-playbook farrier.kit.restore"


def choose(app: str, snapshots: list[Snapshot], at: datetime | None) -> Snapshot:
    """Return the newest backup, or the last one until a moment.

    Raises:
        BackupError: there is none.
    """
    if not snapshots:
        raise BackupError(f"there is no backup of {app} of this host", "systemctl start farrier-backup")
    fitting = [one for one in snapshots if _is_until(one, at)]
    if not fitting:
        first, last = shown(snapshots[0].time), shown(snapshots[-1].time)
        raise BackupError(
            f"there is no backup of {app} as old as {shown(at)}", f"choose a moment from {first} to {last}"
        )
    return fitting[-1]


def _is_until(snapshot: Snapshot, at: datetime | None) -> bool:
    # An operator writes seconds at most.
    return at is None or snapshot.time.replace(microsecond=0) <= at


@dataclass(frozen=True)
class Plan:
    """What a restore on this host would do.

    Args:
        files: id of the backup of the app's state directory; "" where that stays as it is.
        database: what `point_in_time` restores; "" where the database is not here.
        texts: for an operator.
    """

    files: str
    database: str
    texts: list[str]

    @property
    def id(self) -> str:
        """What the next steps know it by."""
        return f"{self.files},{self.database}"


def plan(app: str, at: str, settings: Settings, *, has_database: bool = False) -> Plan:
    """Say what a restore would do; change nothing.

    Args:
        app: its name.
        at: a moment, or "".
        settings: of this host.
        has_database: whether the app has one, here or elsewhere. It may do without files then.
    """
    when = moment(at) if at else None
    files = database = ""
    texts = []
    if app in (settings.databases or []):
        database, text = point_in_time.plan(app, when, settings)
        texts.append(text)
    if app in settings.apps:
        restic = Restic(settings)
        snapshots = restic.snapshots(app)
        if has_database and not any(_is_until(one, when) for one in snapshots):
            texts.append(f"{app}: {APPS / app} has no backup of that time, and would stay as it is")
        else:
            snapshot = choose(app, snapshots, when)
            files = snapshot.id
            wanted, present = size(restic.bytes_of(snapshot)), size(_size_of(APPS / app))
            texts.append(
                f"{app}: the backup of {shown(snapshot.time)} ({snapshot.id[:8]}, {wanted}) would replace "
                f"what is in {APPS / app} ({present}), which would be kept beside it"
            )
    return Plan(files, database, texts)


def _size_of(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.lstat().st_size
    return total


def fetch(app: str, identifier: str, settings: Settings, scratch: Path) -> Path:
    """Bring a backup here, as it was, and return its directory in `scratch`.

    Raises:
        BackupError: it does not fit on the disk, cannot be had, or has a damaged database.
    """
    restic = Restic(settings)
    wanted = restic.bytes_of(Snapshot(identifier, datetime.now()))
    free = shutil.disk_usage(scratch.parent).free
    if free < wanted + MARGIN_BYTES:
        raise BackupError(
            f"the backup has {size(wanted)}, and {scratch.parent} has {size(free)} free", "free space there"
        )
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    restic.call("restore", identifier, f"--target={scratch}")
    state, copies = (scratch / path.relative_to("/") for path in (APPS / app, COPIES / app))
    found = []
    for directory, _, names in os.walk(copies):
        for name in names:
            copy = Path(directory, name)
            found.append(state / copy.relative_to(copies))
            copy.replace(found[-1])
    _give(state, pwd.getpwnam(app))
    for database in found:
        if problem := databases.problem(database):
            raise BackupError(
                f"{database.relative_to(state)} of the backup is damaged: {problem}",
                "choose an earlier one by `at`",
            )
    return state


def _give(state: Path, user: pwd.struct_passwd) -> None:
    """Give to the app's user of this host what belonged to it where it was saved."""
    old = state.lstat()
    for path in [state, *state.rglob("*")]:
        have = path.lstat()
        uid = user.pw_uid if have.st_uid == old.st_uid else have.st_uid
        gid = user.pw_gid if have.st_gid == old.st_gid else have.st_gid
        if (uid, gid) != (have.st_uid, have.st_gid):
            os.lchown(path, uid, gid)


def prepare(app: str, identifier: str, at: str, settings: Settings) -> list[str]:
    """Bring what a plan has chosen to where `swap` finds it; the app goes on meanwhile."""
    files, _, database = identifier.partition(",")
    said = []
    if files:
        scratch = _scratch(app)
        fetch(app, files, settings, scratch)
        write_json(scratch / "backup.json", {"id": files})
        said.append(f"{app}: the backup {files[:8]} is here and sound")
    if database:
        said.append(point_in_time.prepare(app, database, moment(at) if at else None, settings))
    return said


def swap(app: str, identifier: str) -> list[str]:
    """Put what is prepared in the place of what is there, while the app does not run.

    Raises:
        BackupError: it is not prepared, or a deploy is under way.
    """
    files, _, database = identifier.partition(",")
    scratch, state = _scratch(app), APPS / app
    if files and read_json(scratch / "backup.json").get("id") != files:
        raise BackupError(f"the backup {files[:8]} is not here", f"{_PLAYBOOK} -e app={app} -e confirm=yes")
    said = []
    with _no_deploy(app), _stopped(app):
        if database:
            said.append(point_in_time.swap(app))
        if files:
            kept = APPS / f"{app}.{time.strftime('%Y%m%dT%H%M%S')}"
            _exchange(state, scratch / state.relative_to("/"), kept)
            said.append(f"{app}: the backup {files[:8]} is restored. What was there before is in {kept}")
    shutil.rmtree(scratch, ignore_errors=True)
    return said


def stop(app: str) -> list[str]:
    """Stop what runs of an app, for as long as its database is swapped on another host."""
    with _no_deploy(app):
        held = read_json(_held(app)) or []
        # Of an earlier restore that did not come to its end, too.
        write_json(_held(app), held + [unit for unit in _running(app) if unit not in held])
        _order("stop", read_json(_held(app)))
    return []


def start(app: str) -> list[str]:
    """Start what `stop` has stopped."""
    _order("start", read_json(_held(app)) or [])
    _held(app).unlink(missing_ok=True)
    return []


def _held(app: str) -> Path:
    return LOCKS / f"{app}.stopped.json"


def _exchange(state: Path, restored: Path, kept: Path) -> None:
    if state.exists():
        state.rename(kept)
    try:
        restored.rename(state)
    except OSError as error:
        if kept.exists():
            kept.rename(state)
        raise BackupError(f"{restored} cannot become {state}: {error}", "see `ls -la` there") from error


def _scratch(app: str) -> Path:
    return APPS / f".restore-{app}"


@contextmanager
def _no_deploy(app: str) -> Iterator[None]:
    """Hold the lock of the app's releases meanwhile."""
    LOCKS.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (LOCKS / f"{app}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock_is_free = False
        else:
            lock_is_free = True
        under_way = read_json(RELEASES / app / ".state.json").get("transaction")
        if not lock_is_free or (under_way and under_way.get("phase") != "watch"):
            raise BackupError(f"a deploy of {app} is under way", "wait for its end, then restore")
        yield


@contextmanager
def _stopped(app: str) -> Iterator[None]:
    """Stop what runs of an app; start the same again, also after a failure."""
    running = _running(app)
    try:
        _order("stop", running)
        yield
    finally:
        _order("start", running)


def _order(verb: str, units: list[str]) -> None:
    # First what would start the app again.
    services = [unit for unit in units if unit.endswith(".service")]
    for part in ([unit for unit in units if unit not in services], services):
        _systemctl(verb, part)


def _running(app: str) -> list[str]:
    """Return the units of an app that are active: services of its slice, and what starts those."""
    words = ["list-units", "--full", "--plain", "--no-legend", "--state=active,activating,reloading"]
    listed = _output([*words, f"{app}.*", f"{app}-*"])
    names = [line.split()[0] for line in listed.splitlines()]
    return [name for name in names if name.endswith((".service", ".socket", ".timer")) and _is_of(app, name)]


def _is_of(app: str, unit: str) -> bool:
    service = (
        unit
        if unit.endswith(".service")
        else _output(["show", "--value", "--property=Triggers", unit]).strip()
    )
    of = _output(["show", "--value", "--property=Slice", service]).strip()
    return of == f"farrier-{app.replace('-', '_')}.slice"


def _output(words: list[str]) -> str:
    return subprocess.run(["systemctl", *words], check=True, capture_output=True, text=True).stdout


def _systemctl(verb: str, units: list[str]) -> None:
    if not units:
        return
    done = subprocess.run(["systemctl", verb, *units], capture_output=True, text=True)
    if done.returncode != 0:
        raise BackupError(
            f"systemctl {verb} {' '.join(units)} failed: {done.stderr.strip()}", "journalctl -xe"
        )
