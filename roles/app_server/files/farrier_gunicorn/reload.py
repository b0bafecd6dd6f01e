"""`python -m farrier_gunicorn.reload`: the service's ExecReload, which returns when it is done."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from farrier_gunicorn import status

_POLL_SECONDS = 0.02
# The master gives up on a start-up by itself; this is for a master that does not answer at all.
_MARGIN_SECONDS = 5.0


class ReloadError(Exception):
    """The reload was refused or did not succeed."""


def reload(master_pid: int, run_directory: Path) -> status.MasterStatus:
    """Reload the master `master_pid` and wait until only workers of the new generation accept.

    Raises ReloadError with the reason otherwise.
    """
    before = status.read_master(run_directory)
    if before is None or before.pid != master_pid:
        raise ReloadError(
            f"{run_directory}/master.json does not describe the master {master_pid}; is it starting?"
        )
    deadline = time.monotonic() + before.boot_timeout_seconds + _MARGIN_SECONDS
    try:
        os.kill(master_pid, signal.SIGHUP)
    except OSError as error:
        raise ReloadError(f"the master {master_pid} cannot be signalled: {error.strerror}") from None
    while time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        now = status.read_master(run_directory)
        if now is None or now.pid != master_pid or not _is_running(master_pid):
            raise ReloadError(f"the master {master_pid} has ended{_last_failure(run_directory, before)}")
        if now.reloads > before.reloads and _is_done(now, before, run_directory):
            return now
    raise ReloadError(f"not done after {before.boot_timeout_seconds + _MARGIN_SECONDS:g} s")


def _is_done(now: status.MasterStatus, before: status.MasterStatus, run_directory: Path) -> bool:
    """Raises ReloadError when it never will be."""
    if now.settings_error is not None:
        raise ReloadError(f"refused, nothing has changed: {now.settings_error}")
    if now.generation <= before.last_generation:
        if now.candidate is None:
            reason = _last_failure(run_directory, before)
            raise ReloadError(f"the new workers did not start, the previous ones keep serving{reason}")
        return False
    workers = status.read_workers(run_directory)
    ready = [w for w in workers if w.generation >= now.generation and w.state == "ready"]
    older = [w for w in workers if w.generation < now.generation and w.state == "ready"]
    return len(ready) >= now.workers and not older


def _last_failure(run_directory: Path, before: status.MasterStatus) -> str:
    failure = status.read_failure(run_directory)
    if failure is None or failure.generation <= before.last_generation:
        return ""
    return f": release {failure.release}, {failure.phase}: {failure.error}"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _run_directory(environ: Mapping[str, str]) -> Path:
    # systemd allows several runtime directories, separated by colons; the app's is the first.
    return Path(environ.get("FARRIER_RUN_DIRECTORY") or environ["RUNTIME_DIRECTORY"].partition(":")[0])


def main() -> int:
    """Exit code 0 when the new generation serves alone, 1 when not, with the reason on standard error."""
    try:
        master_pid, run_directory = int(os.environ["MAINPID"]), _run_directory(os.environ)
    except (KeyError, ValueError) as error:
        print(
            f"reload: MAINPID and RUNTIME_DIRECTORY have to be set, as systemd does: {error}", file=sys.stderr
        )
        return 1
    try:
        done = reload(master_pid, run_directory)
    except ReloadError as error:
        print(f"reload failed: {error}", file=sys.stderr)
        return 1
    print(f"reload done: generation {done.generation} serves with {done.workers} workers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
