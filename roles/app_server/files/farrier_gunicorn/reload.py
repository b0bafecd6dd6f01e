"""`python -m farrier_gunicorn.reload`: the service's ExecReload, which returns when it is done."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from farrier_gunicorn import status

_POLL_SECONDS = 0.02
# The master gives up on a start-up by itself; this is for a master or a worker that does not react at all.
_MARGIN_SECONDS = 5.0


class ReloadError(Exception):
    """The reload was refused or did not succeed."""


@dataclass(frozen=True)
class Reload:
    """A reload that succeeded."""

    master: status.MasterStatus
    blocked: list[int]
    """Process ids of earlier workers that have not stopped accepting yet, since they do not react."""


def reload(master_pid: int, run_directory: Path) -> Reload:
    """Reload the master `master_pid` and wait until a new generation serves, and earlier ones accept no more.

    Raises ReloadError with the reason otherwise.
    """
    before = status.read_master(run_directory)
    if before is None or before.pid != master_pid:
        raise ReloadError(
            f"{run_directory}/master.json does not describe the master {master_pid}; is it starting?"
        )
    try:
        os.kill(master_pid, signal.SIGHUP)
    except OSError as error:
        raise ReloadError(f"the master {master_pid} cannot be signalled: {error.strerror}") from None
    latest = before
    patience = before.boot_timeout_seconds + _MARGIN_SECONDS
    deadline = time.monotonic() + patience
    serves_since: float | None = None
    while time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        now = status.read_master(run_directory)
        if now is None or now.pid != master_pid or not _is_running(master_pid):
            raise ReloadError(f"the master {master_pid} has ended{_last_failure(run_directory, before)}")
        if now != latest:  # it works on it, or on another reload that has superseded this one
            latest, deadline = now, time.monotonic() + patience
        if now.reloads > before.reloads and _serves(now, before, run_directory):
            serves_since = serves_since or time.monotonic()
            ready = [worker for worker in status.read_workers(run_directory) if worker.state == "ready"]
            earlier = [worker.pid for worker in ready if worker.generation < now.generation]
            # A worker whose event loop is blocked accepts nothing, but cannot say so: it is not waited for.
            is_over = time.monotonic() - serves_since > _MARGIN_SECONDS
            if is_over or (len(ready) >= now.workers and not earlier):
                return Reload(now, earlier)
    raise ReloadError(f"the master {master_pid} has not reacted for {patience:g} s")


def _serves(now: status.MasterStatus, before: status.MasterStatus, run_directory: Path) -> bool:
    """Whether a new generation does. Raises ReloadError when none ever will."""
    if now.settings_error is not None:
        raise ReloadError(f"refused, nothing has changed: {now.settings_error}")
    if now.generation <= before.last_generation:
        if now.candidate is None:
            reason = _last_failure(run_directory, before)
            raise ReloadError(f"the new workers did not start, the previous ones keep serving{reason}")
        return False
    return True


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
    """Exit code 0 when the new generation serves, 1 when not, with the reason on standard error."""
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
    for pid in done.blocked:
        print(
            f"reload: worker {pid} of an earlier generation does not react; is it blocked?", file=sys.stderr
        )
    print(f"reload done: generation {done.master.generation} serves with {done.master.workers} workers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
