"""Save what the apps of this host keep."""

from __future__ import annotations

import functools
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from farrier_backup import databases, records
from farrier_backup.errors import BackupError
from farrier_backup.restic import INCOMPLETE, Restic, meaning
from farrier_backup.settings import APPS, STATE, Settings, open_way, read_json, write_json

COPIES = STATE / "databases"
_LIBRARY = Path(__file__).resolve().parents[1]


def initialise(settings: Settings) -> bool:
    """Make the repository, unless there is one; return whether it was made."""
    restic = Restic(settings)
    code, stdout, stderr = restic.attempt("cat", "config")
    made = code != 0
    if made:
        problem = meaning(stderr)
        if "is not on the backup host" not in problem.what:
            raise problem
        restic.call("init")
        stdout = restic.call("cat", "config")
    open_way(STATE)
    write_json(STATE / "repository.json", {"id": json.loads(stdout)["id"], "since": time.time()})
    return made


def save_all(settings: Settings) -> list[str]:
    """Save each app; return why one could not be saved, as a line for each."""
    failures = []
    restic = Restic(settings)
    for app in settings.apps:
        try:
            check_repository(restic)
            saved = save(app, settings)
        except BackupError as error:
            records.note(app, "unsaved", {"why": str(error)})
            failures.append(f"{app}: {error}")
            continue
        if saved:
            print(f"{app}: saved {records.size(saved)}", flush=True)
    return failures


def save(app: str, settings: Settings) -> int:
    """Save an app, and return how many bytes it has; 0 where it keeps nothing yet.

    Raises:
        BackupError: it is not saved.
    """
    state, copies = APPS / app, COPIES / app
    if not state.is_dir():
        return 0
    restic = Restic(settings)
    try:
        found = _copy_databases(app, state, copies)
        unsound = {name: why for name, why in found.items() if why}
        excluded = [f"--exclude={pattern}" for pattern in _excluded(state, found.keys() - unsound.keys())]
        order = ["backup", f"--tag={app}", f"--host={settings.host}", *excluded, str(state), str(copies)]
        code, stdout, stderr = restic.attempt(*order)
    finally:
        shutil.rmtree(copies, ignore_errors=True)
    if code != 0 and not (code == INCOMPLETE and only_vanished(stderr)):
        raise meaning(stderr)
    summary = json.loads(stdout.splitlines()[-1])
    size = int(summary["total_bytes_processed"])
    record = {"id": summary["snapshot_id"][:8], "bytes": size, "databases": len(found), "unsound": unsound}
    records.note(app, "saved", record)
    return size


@functools.cache
def check_repository(restic: Restic) -> None:
    """Check that it is the one that this host knows: an empty disk in its place holds nothing."""
    known = read_json(STATE / "repository.json").get("id")
    found = json.loads(restic.call("cat", "config"))["id"]
    if found != known:
        raise BackupError(
            "another repository is where that of this host was",
            "see whether its disk is mounted on the backup host; if you meant it, farrier-backup init here",
        )


def _copy_databases(app: str, state: Path, copies: Path) -> dict[str, str]:
    """Copy each database with the rights of the app; return why not, or "", by relative path."""
    user = pwd.getpwnam(app)
    open_way(copies.parent)
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir(mode=0o700)
    os.chown(copies, user.pw_uid, user.pw_gid)
    command = [sys.executable, "-sP", "-m", "farrier_backup.databases", str(state), str(copies)]
    done = subprocess.run(
        command,
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        env={"PYTHONPATH": str(_LIBRARY), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise BackupError(
            f"its databases could not be copied ({last[0]})",
            "journalctl -u farrier-backup, and `df -h` on this host",
        )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _excluded(state: Path, copied: set[str]) -> Iterator[str]:
    """Yield patterns of restic for what is saved in another way or not at all."""
    for name in databases.CACHES:
        yield f"{_literal(state / name)}/*"
    for name in sorted(copied):
        for companion in ("", *databases.COMPANIONS):
            yield _literal(state / f"{name}{companion}")


def _literal(path: Path) -> str:
    return re.sub(r"([\\*?\[\]])", r"\\\1", str(path))


def only_vanished(stderr: str) -> bool:
    """Whether all files that restic could not read are gone: the app has removed them meanwhile."""
    items = []
    for line in stderr.splitlines():
        try:
            items.append(json.loads(line)["item"])
        except (ValueError, TypeError, KeyError):
            continue
    return bool(items) and not any(item and os.path.lexists(item) for item in items)
