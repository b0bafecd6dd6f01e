"""Prove that backups can be restored: restore the newest one of each app into a scratch place; check it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

from farrier_backup import records
from farrier_backup.errors import BackupError
from farrier_backup.restic import Restic
from farrier_backup.restore import choose, fetch
from farrier_backup.settings import APPS, STATE, Settings
from farrier_backup.times import shown

CHECK_SECONDS = 3600
SOCKETS = Path("/run/postgresql")
_EXECUTE = ["/usr/bin/python3", "-m", "farrier_gunicorn.execute"]
_LIBRARY = Path(__file__).resolve().parents[1]


def prove_all(settings: Settings, socket: Path | None = None) -> list[str]:
    """Prove a restore of each app that has a backup; return why one failed, as a line for each.

    Args:
        settings: of this host.
        socket: directory with the socket of the databases that were restored; None if there are none.
    """
    failures = []
    for app in settings.apps:
        try:
            print(prove(app, settings, socket), flush=True)
        except BackupError as error:
            records.note(app, "unproven", {"why": str(error)})
            failures.append(f"{app}: {error}")
    return failures


def prove(app: str, settings: Settings, socket: Path | None = None) -> str:
    """Restore the newest backup of an app, check its databases, and run the operator's check on it.

    Raises:
        BackupError: one of these fails.
    """
    snapshots = Restic(settings).snapshots(app)
    if not snapshots and not (APPS / app).is_dir():
        return f"{app}: it keeps nothing yet"
    newest = choose(app, snapshots, None)
    scratch = STATE / "proof"
    try:
        state = fetch(app, newest.id, settings, scratch)
        if command := settings.apps[app]:
            environment = settings.check_environments.get(app, {})
            if environment and not socket:
                raise BackupError(
                    f"the database of {app} was not restored, so backup_check did not run",
                    "see what is said of PostgreSQL",
                )
            _check(app, command, state, environment, socket)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    records.note(app, "proven", {"id": newest.id[:8]})
    return f"{app}: the backup of {shown(newest.time)} can be restored"


def _check(app: str, command: str, state: Path, environment: dict[str, str], socket: Path | None) -> None:
    """Run a command as the app, with what was restored in the place of what it has, and without network."""
    settings = (
        "NoNewPrivileges=yes",
        "PrivateNetwork=yes",
        "PrivateTmp=yes",
        "ProtectHome=yes",
        "ProtectSystem=strict",
    )
    of_the_app = (
        f"BindPaths={state}:{APPS / app}",
        # In any case the live databases are out of reach.
        f"BindPaths=-{socket}:{SOCKETS}" if socket else f"InaccessiblePaths=-{SOCKETS}",
        f"ReadWritePaths={APPS / app}",
        f"Environment=STATE_DIRECTORY={APPS / app}",
        f"Environment=PYTHONPATH={_LIBRARY}",
        f"RuntimeMaxSec={CHECK_SECONDS}",
    )
    words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--uid={app}", f"--gid={app}"]
    words += [f"--property={one}" for one in (*settings, *of_the_app)]
    words += ["--", *_EXECUTE, "--settings", f"/etc/farrier/{app}/gunicorn.json", "--"]
    words += ["env", *(f"{name}={value}" for name, value in environment.items())] if environment else []
    words += shlex.split(command)
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        raise BackupError(
            f"{command} failed on what was restored (exit code {done.returncode}): {said[0]}",
            f"correct backup_check of {app}, or see what is wrong with the backup",
        )
