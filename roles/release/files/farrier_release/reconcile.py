"""reconcile: from whatever is found to one of the two good states, and nothing is under way any more.

Either the release of the transaction is live and serves, or the one before it is. It is what follows a step
that failed, a process that was killed, a reboot in the middle, a controller that gave up or has died.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from farrier_release import activation, audit, changed_settings, overlap, processes, rehearse, save
from farrier_release.application import Application
from farrier_release.errors import ExitCode, ReleaseError
from farrier_release.state import Transaction, unlock_command
from farrier_release.verify import VerificationError, wait_until_serving
from farrier_release.watch import fault_of
from farrier_release.workers import workers

# For workers that were booting when the transaction was killed.
_PATIENCE_SECONDS = 5
_LOOK_EVERY_SECONDS = 0.25
# Time for what a dead deploy has left running to come to its end: a migration is never cut short.
_LOCK_WAIT_SECONDS = 20


@dataclass(frozen=True)
class End:
    """What came of a transaction.

    Args:
        message: in a sentence or two, for people.
        error: why its release is not live, or None when it is.
    """

    message: str
    error: ReleaseError | None = None


def reconcile(application: Application, *, reason: str, fault: ReleaseError | None = None) -> End | None:
    """Finish or undo the transaction that is under way; the caller holds the lock.

    Args:
        application: whose transaction.
        reason: why it does not go on, for the log.
        fault: why its release must not be live; without one it stays live if it is and serves.

    Returns:
        None where nothing was under way.

    Raises:
        ReleaseError: neither release could be brought to serve (BROKEN). The transaction stays, so that the
            next call tries again.
    """
    transaction = application.state.read() or _of_damaged_state(application)
    if transaction is None:
        changed_settings.drop(application)
        application.state.end()
        return None
    deployed = changed_settings.in_force(application, transaction.settings)
    if not transaction.flip:
        end = _clear_away(application, transaction, reason, fault)
    elif fault is None and _serves(deployed, transaction):
        end = _finish(deployed, transaction)
        changed_settings.keep(application, transaction.release, transaction.settings)
    else:
        end = _undo(application, transaction, reason, fault)
    changed_settings.drop(application)
    if end.error:
        end.error.step = transaction.phase
        ways = (end.error.next_command, save.way_back(application, transaction.saved_at))
        end.error.next_command = ". ".join(way for way in ways if way)
    result = {"changed": True, "message": end.message}
    if end.error:
        result = _failure(application, end.error)
    # The result of a release that went live was reported when it did.
    application.state.end(transaction, None if transaction.phase == "watch" else result)
    return end


@contextlib.contextmanager
def nobody_else(application: Application, gone: str, why: str = "") -> Iterator[list[str]]:
    """Hold the lock, with nothing under way.

    Args:
        application: whose lock.
        gone: public id of a transaction whose owner the caller found dead.
        why: the reason for the log, where the caller knows a better one.

    Yields:
        What had to be done for that, for people.

    Raises:
        ReleaseError: a living deploy holds the lease, or one of its steps does not end.
    """
    _end_what_may_be_ended(application, gone)
    with application.state.locked(wait_seconds=_LOCK_WAIT_SECONDS):
        notes = []
        transaction = application.state.read()
        if transaction is not None:
            reason = why or _stale_reason(application, transaction, gone)
            # Where neither release serves, a new one may; it must not be kept out for that.
            try:
                end = reconcile(application, reason=reason)
            except ReleaseError as error:
                application.state.end(transaction, _failure(application, error))
                end = End(error.message)
            if transaction.phase != "watch":
                notes.append(f"Took over from a dead {transaction.describe()}: {reason}.")
            notes += [end.message] if end and transaction.flip else []
        else:
            reconcile(application, reason="the state file was damaged")
        yield notes


def remove_leftovers(application: Application, keep_archive: str = "") -> None:
    """Remove releases that were never live, and archives that nobody will build from."""
    releases = application.releases
    keep = releases.in_use()
    for release in releases.all():
        if release not in keep and not releases.verified(release):
            application.say(f"removing what is left of {release}")
            releases.remove(release)
    for archive in application.configuration.incoming_directory.glob("*"):
        if archive.name != keep_archive:
            archive.unlink()


def unlock(application: Application, *, force: bool, check: bool = False) -> dict[str, Any]:
    """End a transaction that nobody carries on, and remove what is left of it.

    Args:
        application: whose transaction.
        force: also while a step runs. A build or a rehearsal is stopped; a migration or an activation has to
            come to its end.
        check: only show what would be done.

    Raises:
        ReleaseError: a step runs, and `force` is not given or the step has not ended in time.
    """
    transaction = application.state.read()
    if transaction is None or transaction.phase == "watch":
        return {"changed": False, "message": "Nobody holds the lease."}
    if not force:
        _check_that_nothing_runs(application)
    if check:
        return {
            "changed": True,
            "check": True,
            "message": f"would drop the lease of: {transaction.describe()}.",
        }
    with nobody_else(application, transaction.public_id(), "unlocked by hand") as notes:
        remove_leftovers(application)
    dropped = f"Dropped the lease of: {transaction.describe()}."
    return {"changed": True, "message": " ".join([dropped, *notes[1:]])}


def abort(application: Application, token: str) -> dict[str, Any]:
    """End a deploy that its controller gives up, if it is still under way. Never touches what is live."""
    with application.state.locked(wait_seconds=_LOCK_WAIT_SECONDS):
        transaction = application.state.read()
        if transaction is None or transaction.token != token or transaction.phase == "watch":
            return {"changed": False, "message": "This deploy has already ended."}
        reason = "aborted by the controller"
        is_begun = not transaction.flip and transaction.phase != "begin"
        end = reconcile(application, reason=reason, fault=ReleaseError(reason) if is_begun else None)
    if end and transaction.flip:
        return {"changed": True, "message": end.message}
    return {"changed": True, "message": f"{transaction.release} was aborted."}


def _serves(application: Application, transaction: Transaction) -> bool:
    """Whether the release is live and serves, as far as can be told from outside the killed activation."""
    settings, release = application.configuration, transaction.release
    if application.releases.live() != release:
        return False
    if transaction.phase == "watch":
        # There is nothing to go back to from a first release.
        return transaction.origin is None or _stays_healthy(application, transaction)
    if not settings.web:
        return not processes.problem(application, release)
    # One that was not reloaded yet has no worker of the new release, and never will.
    if not any(worker.release == release for worker in workers(settings.run_directory)):
        return False
    try:
        wait_until_serving(application, release, _PATIENCE_SECONDS)
    except VerificationError as error:
        application.say(str(error))
        return False
    return True


def _stays_healthy(application: Application, transaction: Transaction) -> bool:
    """Whether a release that was being watched is good: after a boot, its workers may still be starting."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while fault := fault_of(application, transaction):
        if time.monotonic() >= until:
            application.say(fault)
            return False
        time.sleep(_LOOK_EVERY_SECONDS)
    return True


def _finish(application: Application, transaction: Transaction) -> End:
    release = transaction.release
    if application.configuration.web:
        application.host.systemctl("stop", application.configuration.rehearsal_unit_of(release))
    processes.settle(application)
    if transaction.phase == "watch":
        return End(f"{release} is live.")
    overlap.end(application)
    if transaction.what != "restart":
        activation.record_good(application, transaction)
    entry = {**transaction.entry(), "what": "recover", "who": "farrier-release"}
    message = "found good after an interruption"
    audit.record(application.configuration, {**entry, "result": "live", "message": message})
    return End(f"The interrupted activation of {release} is finished: it serves.")


def _undo(application: Application, transaction: Transaction, reason: str, fault: ReleaseError | None) -> End:
    """Put back what was live, and only then look for what the application has said."""
    settings = application.configuration
    release, origin, flip = transaction.release, transaction.origin, transaction.flip
    entry = {**transaction.entry(), "how": flip.get("how", ""), "phase": transaction.phase}
    if fault is None:
        entry |= {"what": "recover", "who": "farrier-release"}
    elif transaction.phase == "watch":
        entry |= {"what": "watch", "who": "farrier-release"}
        _forget_that_it_was_good(application, release)
    why = fault.message.rstrip(".") if fault else reason
    kept = "did not stay healthy" if transaction.phase == "watch" else "did not go live"
    if transaction.what == "restart":
        kept = "did not restart"
    message = f"{release} {kept}: {why}." if fault else f"The activation of {release} was interrupted."
    application.say(f"{message} Undoing.")
    if transaction.rehearsal:
        rehearse.end(application, transaction.rehearsal["unit"])
    now = time.time()
    try:
        activation.go_back(application, origin, flip.get("main_pid"))
        error = None
    except ReleaseError as broken:
        error = broken
    log = (
        fault.log
        if fault and fault.log
        else application.host.journal(settings.service, since_seconds=float(flip["at"]), until_seconds=now)
    )
    entry |= {"seconds": transaction.seconds, "log": log[-20:]}
    if error is not None:
        message += f" AND {origin or 'the state before'} COULD NOT BE RESTORED: {error.message}"
        audit.record(settings, {**entry, "result": "broken", "message": message})
        found = ReleaseError(
            message,
            log=[*log, *error.log],
            next_command=error.next_command,
            exit_code=ExitCode.BROKEN,
        )
        found.step = transaction.phase
        if transaction.phase != "watch":
            application.state.report(transaction, _failure(application, found))
        raise found
    audit.record(settings, {**entry, "result": "undone", "message": message})
    message += f" {origin} is live again." if origin else " Nothing is live, as before."
    after = "correct the release and deploy again" if fault else f"{application.command} status; deploy again"
    if transaction.what == "restart":
        after = "correct the inventory: ansible-playbook farrier.kit.site"
    return End(message, ReleaseError(message, log=log, next_command=after, exit_code=ExitCode.UNDONE))


def _clear_away(
    application: Application, transaction: Transaction, reason: str, fault: ReleaseError | None
) -> End:
    """Nothing is left of an attempt that ends before its activation, but a line in the log."""
    settings, releases = application.configuration, application.releases
    release = transaction.release
    if "archive_sha256" in transaction.request:
        (settings.incoming_directory / f"{transaction.request['archive_sha256']}.tar.gz").unlink(
            missing_ok=True
        )
    if transaction.rehearsal:
        rehearse.end(application, transaction.rehearsal["unit"])
    is_new = transaction.what == "deploy" and not releases.verified(release)
    if is_new and release not in releases.in_use():
        releases.remove(release)
    message = fault.message if fault else reason
    # Of one whose turn never came there is nothing, in the log either.
    if fault or transaction.phase != "begin":
        audit.record(
            settings,
            {
                **transaction.entry(),
                "result": "failed" if fault else "abandoned",
                "phase": transaction.phase,
                "seconds": transaction.seconds,
                "message": message,
                "log": fault.log[-20:] if fault else [],
            },
        )
    return End(
        message, fault or ReleaseError(f"{release} did not go live: {reason}.", next_command="deploy again")
    )


def _failure(application: Application, error: ReleaseError) -> dict[str, Any]:
    """A failure as it may be kept: the application's own words are in it."""
    masked: dict[str, Any] = application.masking.data({"error": error.details()})
    return masked


def _forget_that_it_was_good(application: Application, release: str) -> None:
    manifest = application.releases.manifest(release) or {}
    manifest.pop("verified_at", None)
    application.releases.write_manifest(release, manifest)


def _of_damaged_state(application: Application) -> Transaction | None:
    """Where nobody can read what was under way: a live release that was never found good is not to stay."""
    releases = application.releases
    live = releases.live()
    if not application.state.is_damaged() or live is None or releases.verified(live):
        return None
    good = [release for release in releases.all() if releases.verified(release)]
    return Transaction(
        token="",
        what="deploy",
        who="",
        owner={},
        release=live,
        origin=good[-1] if good else None,
        begun_at=time.time(),
        phase="activate",
        flip={"at": time.time()},
    )


def _end_what_may_be_ended(application: Application, gone: str) -> None:
    """A watch has nothing more to lose; a dead deploy's build or rehearsal is of no use to anybody."""
    host = application.host
    host.systemctl("stop", f"farrier-{application.configuration.name}-watch.service")  # of version 0.1
    transaction = application.state.read()
    if transaction is None:
        return
    if transaction.phase == "watch":
        host.systemctl("stop", f"{application.transaction_unit}.service")
        return
    if application.state.stale_reason(transaction, gone) is None:
        if _is_carried_on(application, transaction):
            raise application.state.busy(transaction)
        return
    if transaction.phase == "build":
        host.systemctl("stop", f"{application.build_unit}.service")
    elif transaction.phase == "rehearse":
        host.systemctl("kill", "--signal=KILL", transaction.rehearsal["unit"])


def _is_carried_on(application: Application, transaction: Transaction) -> bool:
    """Whether a process works on a transaction, or its holder may go on with it."""
    if _waits_for_its_holder(transaction):
        return True
    try:
        with application.state.locked():
            return False
    except ReleaseError:
        return True


def _waits_for_its_holder(transaction: Transaction) -> bool:
    """Whether no process has to run for it now. One of version 0.1, without an order, waits between steps."""
    return not transaction.order or transaction.phase in ("begin", "prepared")


def _stale_reason(application: Application, transaction: Transaction, gone: str) -> str:
    """Why a transaction may be ended, for a caller who holds the lock."""
    if transaction.phase == "watch":
        return "it has ended"
    reason = application.state.stale_reason(transaction, gone)
    if reason is None and _waits_for_its_holder(transaction):
        raise application.state.busy(transaction)
    return reason or "its process was killed"


def _check_that_nothing_runs(application: Application) -> None:
    try:
        with application.state.locked():
            pass
    except ReleaseError as error:
        unlock = unlock_command(application.configuration.name)
        raise ReleaseError(
            f"{error.message} The lease is kept.",
            next_command=f"wait for it; or end it: {unlock} -e force=true",
            exit_code=error.exit_code,
        ) from None
