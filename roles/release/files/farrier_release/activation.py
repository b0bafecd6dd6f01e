"""activate: move the symlink and the service to the release, verify both, or undo both.

`perform` runs in a systemd unit of its own, so it ends as it should when the connection or the controller
dies. Should it be killed itself, or the power fail, a marker on disk lets `recover` finish or undo what it
finds.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Any

from farrier_release import audit, overlap, rehearse
from farrier_release.application import Application
from farrier_release.errors import ExitCode, ReleaseError
from farrier_release.lease import Lease
from farrier_release.probe import ask_edge
from farrier_release.storage import point, read_json, write_json
from farrier_release.transition import Service, Transition, choose, look_at
from farrier_release.verify import VerificationError, verify, wait_until_serving
from farrier_release.workers import boot_failure, workers

_EDGE_TIMEOUT_SECONDS = 5
_POLL_SECONDS = 0.02
_UNIT_EVERY_SECONDS = 0.5
_RUNNING = ("active", "activating", "reloading", "deactivating")
# For workers that were booting when the activation was killed.
_RECOVERY_PATIENCE_SECONDS = 5


def marker_path(application: Application) -> Path:
    """Says that an activation is under way: which release replaces which."""
    return application.configuration.root / ".activation.json"


def activate(application: Application, lease: Lease) -> dict[str, Any]:
    """Run `perform` in a unit of its own and wait for it.

    Raises:
        ReleaseError: the activation failed; its exit code says whether it was undone.
    """
    settings = application.configuration
    outcome = settings.lock_directory / f"{settings.name}.outcome-{secrets.token_hex(8)}.json"
    started = time.time()
    unit = f"farrier-{settings.name}-activate"
    # Not by OnFailure=: systemd may then keep the failed unit for good, and with it the name.
    mend = f"/bin/sh -c 'test ! -e {marker_path(application)} || exec {' '.join(application.tool)} recover'"
    done = application.host.start_detached(
        unit,
        [*application.tool, "perform", "--token", lease.token, "--outcome", str(outcome)],
        afterwards=mend,
        timeout_seconds=settings.service_timeout_seconds * 2 + settings.task_timeout_seconds,
    )
    if done.returncode != 0:
        raise ReleaseError(
            f"systemd cannot start {unit}.", log=done.tail, next_command=f"systemctl status {unit}"
        )
    result = _wait_for(application, unit, outcome)
    if result is None:
        with application.lease_file.locked(wait_seconds=settings.service_timeout_seconds):
            recovered = recover(application)
        if recovered["changed"] and application.releases.live() == lease.release:
            return {"changed": True, "how": "recover", "message": recovered["message"]}
        raise ReleaseError(
            f"The activation of {lease.release} was interrupted. {recovered['message']}",
            log=application.host.journal(unit, since_seconds=started),
            next_command=f"{application.command} status; journalctl -u {unit}",
            exit_code=ExitCode.UNDONE if recovered["changed"] else ExitCode.BROKEN,
        )
    if "error" in result:
        raise ReleaseError.from_details(result["error"])
    return result


def _wait_for(application: Application, unit: str, outcome: Path) -> dict[str, Any] | None:
    """What the activation's unit writes down, or None when it ends without."""
    next_look = time.monotonic() + _UNIT_EVERY_SECONDS
    running = True
    while True:
        result = read_json(outcome)
        if result is not None or not running:
            outcome.unlink(missing_ok=True)
            return result
        if time.monotonic() >= next_look:
            next_look = time.monotonic() + _UNIT_EVERY_SECONDS
            # Looked at once more after its end: it may have reported in between.
            running = application.host.show(unit, "ActiveState").get("ActiveState") in _RUNNING
        time.sleep(_POLL_SECONDS)


def perform(application: Application, lease: Lease) -> dict[str, Any]:
    """Make the lease's release live, verify it, and undo everything when it is not good.

    Raises:
        ReleaseError: nothing was changed (FAILED), all was undone (UNDONE), or not even that worked (BROKEN).
    """
    settings, releases = application.configuration, application.releases
    started = time.monotonic()
    # What is live now: the watch over an earlier release may have undone that one since this deploy began.
    lease.origin = releases.live()
    entry = {"what": lease.what, "who": lease.who, "from": lease.origin, "to": lease.release}
    how = ""
    try:
        manifest = releases.manifest(lease.release)
        if manifest is None:
            raise ReleaseError(f"{lease.release} was never built completely.", next_command="deploy again")
        if lease.rehearsal:
            rehearse.still_alive(application, lease)
        if lease.what != "restart":
            application.run_tasks("before_activate", settings.hooks.before_activate, lease.release)
        service = look_at(application)
        transition = choose(application, service, manifest)
        if lease.what == "restart" and transition.how == "reload":
            transition = Transition("overlap", "a restart was requested", transition.daemon_reload)
        how = transition.how
        edge = _edge_works(application)
        application.say(f"{transition.how}: {transition.why}")
        _flip_and_verify(application, lease, service, transition, edge)
    except ReleaseError as error:
        seconds = {**lease.seconds, "activate": round(time.monotonic() - started, 2)}
        result = {ExitCode.UNDONE: "undone", ExitCode.BROKEN: "broken"}.get(error.exit_code, "failed")
        message = {"message": error.message, "log": error.log[-20:]}
        audit.record(
            settings,
            {**entry, "how": how, "result": result, "phase": "activate", "seconds": seconds, **message},
        )
        raise
    seconds = {**lease.seconds, "activate": round(time.monotonic() - started, 2)}
    audit.record(
        settings, {**entry, "how": how, "result": "live", "seconds": seconds, "message": transition.why}
    )
    times = ", ".join(f"{phase} {duration:.1f} s" for phase, duration in seconds.items())
    return {
        "changed": True,
        "how": transition.how,
        "why": transition.why,
        "edge": edge,
        "phases": seconds,
        "message": f"{lease.release} is live ({transition.how}: {transition.why}). {times}.",
    }


def recover(application: Application) -> dict[str, Any]:
    """Finish or undo an activation that was killed. Does nothing where there is none.

    Raises:
        ReleaseError: neither release could be brought to serve.
    """
    marker = read_json(marker_path(application))
    if marker is None:
        return {"changed": False, "message": "No activation was interrupted."}
    settings, releases = application.configuration, application.releases
    live, wanted, origin = releases.live(), marker["to"], marker["from"]
    application.say(f"an activation of {wanted} was interrupted")
    application.host.systemctl("stop", settings.rehearsal_unit_of(wanted))
    entry = {"what": "recover", "who": "farrier-release", "from": origin, "to": wanted}
    # One that was not reloaded yet has no worker of the new release, and never will.
    if live == wanted and any(worker.release == wanted for worker in workers(settings.run_directory)):
        try:
            wait_until_serving(application, wanted, _RECOVERY_PATIENCE_SECONDS)
        except VerificationError as error:
            application.say(str(error))
        else:
            overlap.end(application)
            if wanted != origin:
                _record_good(application, wanted, marker.get("replaced"), marker.get("who", ""))
            marker_path(application).unlink(missing_ok=True)
            audit.record(settings, {**entry, "result": "live", "message": "found good after an interruption"})
            return {
                "changed": True,
                "message": f"The interrupted activation of {wanted} is finished: it serves.",
            }
    try:
        go_back(application, origin)
    except ReleaseError as error:
        audit.record(settings, {**entry, "result": "broken", "message": error.message})
        raise
    audit.record(settings, {**entry, "result": "undone", "message": "found not good after an interruption"})
    return {
        "changed": True,
        "message": f"The interrupted activation of {wanted} is undone: {origin or 'nothing'} is live.",
    }


def _flip_and_verify(
    application: Application, lease: Lease, service: Service, transition: Transition, edge: bool
) -> None:
    settings = application.configuration
    flipped = time.time()
    replaced = lease.origin if lease.what == "deploy" else None
    marker = {
        "from": lease.origin,
        "to": lease.release,
        "replaced": replaced,
        "who": lease.who,
        "at": flipped,
    }
    write_json(marker_path(application), marker, durable=True)
    try:
        point(settings.current, f"releases/{lease.release}")
        _carry_out(application, transition)
        verify(application, lease.release, before=service, how=transition.how, edge=edge)
        if lease.what == "deploy":
            application.run_tasks("after_activate", settings.hooks.after_activate, lease.release)
        if lease.what != "restart":
            _record_good(application, lease.release, replaced, lease.who)
    except (ReleaseError, VerificationError, OSError) as error:
        log = error.log if isinstance(error, ReleaseError) else []
        _undo(application, lease, service, str(error), log, flipped)
    marker_path(application).unlink(missing_ok=True)
    if lease.what == "rollback":
        application.run_tasks_regardless("after_rollback", settings.hooks.after_rollback, lease.release)


def _undo(
    application: Application, lease: Lease, before: Service, reason: str, log: list[str], flipped: float
) -> None:
    """Put back what was live, and only then look for what the application has said. Always raises."""
    service, now = application.configuration.service, time.time()
    goal = "restart" if lease.what == "restart" else "go live"
    failed = f"{lease.release} did not {goal}: {reason.rstrip('.')}."
    application.say(f"{failed} Undoing.")
    try:
        go_back(application, lease.origin, before)
    except ReleaseError as error:
        log = log or application.host.journal(service, since_seconds=flipped, until_seconds=now)
        raise ReleaseError(
            f"{failed} AND {lease.origin or 'the state before'} COULD NOT BE RESTORED: {error.message}",
            log=[*log, *error.log],
            next_command=error.next_command,
            exit_code=ExitCode.BROKEN,
        ) from None
    state = f"{lease.origin} is live again." if lease.origin else "Nothing is live, as before."
    log = log or application.host.journal(service, since_seconds=flipped, until_seconds=now)
    raise ReleaseError(
        f"{failed} {state}",
        log=log,
        next_command=(
            "correct the inventory: ansible-playbook farrier.kit.site"
            if lease.what == "restart"
            else "correct the release and deploy again"
        ),
        exit_code=ExitCode.UNDONE,
    )


def go_back(application: Application, origin: str | None, before: Service | None = None) -> None:
    """Make `origin` live again and verify it, or nothing when there was nothing; the marker goes when that
    is done.

    Raises:
        ReleaseError: it does not serve.
    """
    settings, releases = application.configuration, application.releases
    if origin is None:
        settings.current.unlink(missing_ok=True)
        # The socket too: nothing would answer who waits there.
        units = [settings.socket_unit, settings.service]
        application.host.systemctl("stop", *units, timeout_seconds=settings.service_timeout_seconds)
        application.host.systemctl("reset-failed", *units)
        marker_path(application).unlink(missing_ok=True)
        return
    point(settings.current, f"releases/{origin}")
    started = time.time()
    now = look_at(application)
    # For a master that was not replaced, a reload; whatever it refuses, it serves `origin` all the time.
    kept = now.active and before is not None and now.main_pid == before.main_pid
    best = "reload" if kept else choose(application, now, releases.manifest(origin) or {}).how
    ways = dict.fromkeys(["restart" if best == "start" else best, "overlap", "restart"])
    reason = ""
    for how in ways:
        try:
            _carry_out(application, Transition(how, "undo"))
        except (ReleaseError, VerificationError) as error:
            reason = str(error)
            # The hand-over worker keeps the old ones when a reload fails: then nothing is lost, and nothing
            # to restart.
        try:
            wait_until_serving(application, origin, settings.verify_timeout_seconds)
        except VerificationError as error:
            reason = reason or str(error)
            continue
        application.run_tasks_regardless("after_rollback", settings.hooks.after_rollback, origin)
        marker_path(application).unlink(missing_ok=True)
        return
    raise ReleaseError(
        reason,
        log=application.host.journal(settings.service, since_seconds=started),
        next_command=f"systemctl status {settings.service}; journalctl -u {settings.service} -n 50; "
        f"{application.command} rollback",
        exit_code=ExitCode.BROKEN,
    )


def _carry_out(application: Application, transition: Transition) -> None:
    """Get the service to what `current` points to.

    Raises:
        ReleaseError: systemd says that it failed, or the stand-in of an overlap is not good.
        VerificationError: after an overlap, the service does not serve with all its workers.
    """
    settings = application.configuration
    if transition.daemon_reload:
        application.host.systemctl("daemon-reload")
    if transition.how == "overlap":
        overlap.start(application)
    if transition.how != "reload":
        # Otherwise one that was given up on would be refused.
        application.host.systemctl("reset-failed", settings.service)
    started = time.time()
    units = [settings.service]
    if transition.how == "start":
        units.insert(0, settings.socket_unit)
    verb = "restart" if transition.how == "overlap" else transition.how
    done = application.host.systemctl(verb, *units, timeout_seconds=settings.service_timeout_seconds)
    if done.returncode != 0:
        release = application.releases.live() or ""
        failure = boot_failure(settings.run_directory, since_seconds=started, release=release)
        raise ReleaseError(
            f"systemctl {verb} {settings.service} failed{f': {failure.error}' if failure else ''}",
            log=failure.traceback if failure else (),
        )
    if transition.how == "overlap":
        overlap.wait_until_replaced(application)
    overlap.end(application)


def _edge_works(application: Application) -> bool:
    """Whether nginx passes requests on now. If not, that is not this release's fault."""
    settings = application.configuration
    if settings.edge is None:
        return False
    answer = ask_edge(settings.edge, settings.health_path, timeout_seconds=_EDGE_TIMEOUT_SECONDS)
    return bool(answer.release)


def _record_good(application: Application, release: str, replaced: str | None, who: str) -> None:
    releases = application.releases
    manifest = releases.manifest(release) or {}
    now = time.time()
    manifest.update(activated_at=now, activated_by=who)
    manifest.setdefault("verified_at", now)
    if replaced is not None:
        manifest["replaced"] = replaced
    releases.write_manifest(release, manifest)
