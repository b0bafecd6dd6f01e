"""Run one phase: hold the lock, check the lease, and remove what a failed phase left."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from farrier_release import activation, audit, build, migrate, rehearse, rollback, transfer, watch
from farrier_release.application import Application
from farrier_release.begin import archive_path
from farrier_release.errors import ExitCode, ReleaseError, UsageError
from farrier_release.finish import prune
from farrier_release.lease import Lease, public_id
from farrier_release.storage import write_json
from farrier_release.takeover import nobody_else, remove_leftovers

Phase = Callable[[Application, Lease], dict[str, Any]]

PHASES: dict[str, Phase] = {"build": build.build, "rehearse": rehearse.rehearse, "migrate": migrate.migrate}
_AFTER = {
    "build": ("begin",),
    "receive": ("begin",),
    "rehearse": ("build", "receive"),
    "migrate": ("rehearse",),
    "activate": ("rehearse",),
}


def run_phase(application: Application, name: str, token: str) -> dict[str, Any]:
    """Run one of `PHASES`.

    Raises:
        ReleaseError: it failed; the lease is dropped and the release removed.
    """
    with application.lease_file.locked():
        lease = application.lease_file.holder(token)
        return _within(application, lease, name, PHASES[name])


def receive(
    application: Application, token: str, index: Path, sha256: str, pack: Path | None
) -> dict[str, Any]:
    """Run `transfer.receive` in place of a build.

    Raises:
        ReleaseError: it failed; the lease is dropped and the release removed.
    """

    def phase(application: Application, lease: Lease) -> dict[str, Any]:
        return transfer.receive(application, lease, index, sha256, pack)

    with application.lease_file.locked():
        return _within(application, application.lease_file.holder(token), "receive", phase)


def assist(application: Application, token: str, task: Phase) -> dict[str, Any]:
    """Do something for the holder of the lease that is no phase of it: a failure ends nothing.

    Raises:
        ReleaseError: it failed.
    """
    with application.lease_file.locked():
        lease = application.lease_file.holder(token)
        try:
            result = task(application, lease)
        except OSError as error:
            raise ReleaseError(str(error), next_command=f"df -h {application.configuration.root}") from error
        application.lease_file.renew(lease)
        return result


def activate(application: Application, token: str) -> dict[str, Any]:
    """Make the lease's release live, in a unit of its own. The lease ends with it.

    Raises:
        ReleaseError: it failed; the exit code says whether it was undone.
    """
    lease = application.lease_file.holder(token)
    _check_order(lease, "activate")
    return activation.activate(application, lease)


def perform(application: Application, token: str, outcome: Path) -> dict[str, Any]:
    """What `activate` runs in that unit.

    Args:
        application: whose lease is to be fulfilled.
        token: of the lease.
        outcome: where the result goes as soon as it is known; old releases are removed after that.
    """
    with application.lease_file.locked():
        lease = application.lease_file.holder(token)
        lease.phase = "activate"
        application.lease_file.renew(lease)
        try:
            result = activation.perform(application, lease)
        except ReleaseError as error:
            if lease.rehearsal:
                rehearse.end(application, lease.rehearsal["unit"])
            # After an undo its workers may still be draining; the next deploy removes it.
            if error.exit_code == ExitCode.FAILED:
                _remove_release(application, lease)
            application.lease_file.drop()
            write_json(outcome, {"error": error.details()}, mode=0o600)
            raise
        application.lease_file.drop()
        write_json(outcome, result, mode=0o600)
        prune(application)
        if lease.what != "restart":
            watch.start(application, lease.release, lease.origin)
    # Stopped before, it would have taken the new workers' processors.
    rehearse.dismiss(application, lease)
    return result


def roll_back(application: Application, request: dict[str, Any], *, gone: str = "") -> dict[str, Any]:
    """Go back to an earlier release, in one call.

    Raises:
        ReleaseError: it failed; the exit code says whether it was undone.
    """
    lease = rollback.choose(application, request, gone=gone)
    with application.lease_file.locked():
        _within(application, lease, "rehearse", rehearse.rehearse)
    result = activation.activate(application, lease)
    return {**result, "release": lease.release, "from": lease.origin}


def abort(application: Application, token: str) -> dict[str, Any]:
    """End a deploy that its controller gives up, if it is still under way. Never touches what is live."""
    with application.lease_file.locked(wait_seconds=20):
        lease = application.lease_file.read()
        if lease is None or lease.token != token:
            return {"changed": False, "message": "This deploy has already ended."}
        recovered = activation.recover(application)
        if application.releases.live() == lease.release:
            application.lease_file.drop()
            return {"changed": True, "message": f"{lease.release} is live. {recovered['message']}"}
        if lease.phase == "begin":
            # Its turn never came, and there is nothing of it, in the log either.
            application.lease_file.drop()
        else:
            _clear_away(application, lease, lease.phase, "aborted by the controller", [])
    return {"changed": True, "message": f"{lease.release} was aborted. {recovered['message']}"}


def unlock(application: Application, *, force: bool, check: bool = False) -> dict[str, Any]:
    """Drop the lease of a deploy that nobody carries on, and remove what is left of it.

    Args:
        application: whose lease.
        force: also while a phase runs. A build or a rehearsal is stopped; a migration or an activation has
            to come to its end.
        check: only show what would be done.

    Raises:
        ReleaseError: a phase runs, and `force` is not given or the phase has not ended in time.
    """
    lease = application.lease_file.read()
    if lease is None:
        return {"changed": False, "message": "Nobody holds the lease."}
    if not force:
        _check_that_nothing_runs(application)
    if check:
        return {"changed": True, "check": True, "message": f"would drop the lease of: {lease.describe()}."}
    with nobody_else(application, public_id(lease), "unlocked by hand") as notes:
        remove_leftovers(application)
    return {"changed": True, "message": " ".join([f"Dropped the lease of: {lease.describe()}.", *notes[1:]])}


def _check_that_nothing_runs(application: Application) -> None:
    try:
        with application.lease_file.locked():
            pass
    except ReleaseError as error:
        unlock_command = f"ansible-playbook farrier.kit.unlock -e app={application.configuration.name}"
        raise ReleaseError(
            f"{error.message} The lease is kept.",
            next_command=f"wait for it; or end it: {unlock_command} -e force=true",
            exit_code=error.exit_code,
        ) from None


def _within(application: Application, lease: Lease, name: str, phase: Phase) -> dict[str, Any]:
    _check_order(lease, name)
    lease.phase = name
    application.lease_file.renew(lease)
    started = time.monotonic()
    done = False
    try:
        result = phase(application, lease)
        done = True
    except ReleaseError as error:
        _clear_away(application, lease, name, error.message, error.log)
        done = True
        raise
    except OSError as error:
        _clear_away(application, lease, name, str(error), [])
        done = True
        raise ReleaseError(
            f"{name}: {error}", next_command=f"df -h {application.configuration.root}"
        ) from error
    finally:
        if not done:
            _clear_away(application, lease, name, "the phase was interrupted", [])
    lease.seconds[name] = round(time.monotonic() - started, 3)
    application.lease_file.renew(lease)
    return result


def _check_order(lease: Lease, name: str) -> None:
    if lease.what == "rollback":
        return
    needed = _AFTER[name]
    if not {"begin", *lease.seconds}.intersection(needed):
        raise UsageError(f"{name} comes after {' or '.join(needed)}, which has not run for {lease.release}.")


def _clear_away(application: Application, lease: Lease, phase: str, message: str, log: list[str]) -> None:
    """Nothing is left of an attempt that ends before its activation, but a line in the log."""
    if "archive_sha256" in lease.request:
        archive_path(application, lease.request["archive_sha256"]).unlink(missing_ok=True)
    if lease.rehearsal:
        rehearse.end(application, lease.rehearsal["unit"])
    _remove_release(application, lease)
    entry = {
        "what": lease.what,
        "who": lease.who,
        "from": lease.origin,
        "to": lease.release,
        "result": "failed",
    }
    audit.record(
        application.configuration,
        {**entry, "phase": phase, "seconds": lease.seconds, "message": message, "log": log[-20:]},
    )
    application.lease_file.drop()


def _remove_release(application: Application, lease: Lease) -> None:
    releases = application.releases
    if (
        lease.what == "deploy"
        and lease.release not in releases.in_use()
        and not releases.verified(lease.release)
    ):
        releases.remove(lease.release)
