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
from datetime import datetime
from pathlib import Path
from typing import Any

from farrier_backup import databases
from farrier_backup.errors import BackupError
from farrier_backup.records import size
from farrier_backup.restic import Restic, Snapshot
from farrier_backup.save import COPIES
from farrier_backup.settings import APPS, Settings, read_json, write_json

RELEASES = Path("/srv")
LOCKS = Path("/run/farrier")
MARGIN_BYTES = 256 * 2**20
_PLAYBOOK = "ansible-playbook farrier.kit.restore"


def moment(text: str, now: datetime | None = None) -> datetime:
    """Return a moment that an operator has written, in the host's time zone unless it says another.

    Raises:
        BackupError: it is none, or has not come yet.
    """
    try:
        at = datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise BackupError(f"{text!r} is not a moment", "write one as in at='2026-11-25 12:00'") from None
    if at > (now or datetime.now().astimezone()):
        raise BackupError(f"{shown(at)} has not come yet", "leave out `at` for the newest backup")
    return at


def choose(app: str, snapshots: list[Snapshot], at: datetime | None) -> Snapshot:
    """Return the newest backup, or the last one until a moment.

    Raises:
        BackupError: there is none.
    """
    if not snapshots:
        raise BackupError(f"there is no backup of {app} of this host", "systemctl start farrier-backup")
    # An operator writes seconds at most.
    fitting = [one for one in snapshots if at is None or one.time.replace(microsecond=0) <= at]
    if not fitting:
        first, last = shown(snapshots[0].time), shown(snapshots[-1].time)
        raise BackupError(
            f"there is no backup of {app} as old as {shown(at)}", f"choose a moment from {first} to {last}"
        )
    return fitting[-1]


def shown(at: datetime | None) -> str:
    """Write a moment for an operator, in the time zone of the host."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z") if at else ""


def plan(app: str, at: str, settings: Settings) -> dict[str, Any]:
    """Say what a restore would do; change nothing."""
    restic = Restic(settings)
    snapshot = choose(app, restic.snapshots(app), moment(at) if at else None)
    wanted, present = size(restic.bytes_of(snapshot)), size(_size_of(APPS / app))
    return {
        "id": snapshot.id,
        "text": f"{app}: the backup of {shown(snapshot.time)} ({snapshot.id[:8]}, {wanted}) would replace "
        f"what is in {APPS / app} ({present}), which would be kept beside it",
    }


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


def prepare(app: str, identifier: str, settings: Settings) -> str:
    """Bring a backup to where `swap` finds it; the app goes on meanwhile."""
    scratch = _scratch(app)
    fetch(app, identifier, settings, scratch)
    write_json(scratch / "backup.json", {"id": identifier})
    return f"{app}: the backup {identifier[:8]} is here and sound"


def swap(app: str, identifier: str, settings: Settings) -> str:
    """Put a prepared backup in the place of the app's state, while the app does not run.

    Raises:
        BackupError: it is not prepared, or a deploy is under way.
    """
    scratch, state = _scratch(app), APPS / app
    if read_json(scratch / "backup.json").get("id") != identifier:
        raise BackupError(
            f"the backup {identifier[:8]} is not here", f"{_PLAYBOOK} -e app={app} -e confirm=yes"
        )
    kept = APPS / f"{app}.{time.strftime('%Y%m%dT%H%M%S')}"
    with _no_deploy(app), _stopped(app):
        _exchange(state, scratch / state.relative_to("/"), kept)
    shutil.rmtree(scratch)
    return f"{app}: the backup {identifier[:8]} is restored. What was there before is in {kept}"


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
    # First what would start the app again.
    services = [unit for unit in running if unit.endswith(".service")]
    starters = [unit for unit in running if unit not in services]
    try:
        for units in (starters, services):
            _systemctl("stop", units)
        yield
    finally:
        for units in (starters, services):
            _systemctl("start", units)


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
