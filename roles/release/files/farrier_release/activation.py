"""activate: move the symlink and the service to the release, and see that both are right; or back again."""

from __future__ import annotations

import time
from typing import Any

from farrier_release import changed_settings, overlap, processes, rehearse
from farrier_release.application import Application
from farrier_release.errors import ExitCode, ReleaseError
from farrier_release.probe import ask_edge
from farrier_release.state import Transaction
from farrier_release.storage import point
from farrier_release.transition import Transition, choose, look_at
from farrier_release.verify import VerificationError, verify, wait_until_serving
from farrier_release.workers import boot_failure

_EDGE_TIMEOUT_SECONDS = 5


def activate(application: Application, transaction: Transaction) -> dict[str, Any]:
    """Make the transaction's release live and verify it. Nothing is undone here: `reconcile` does that.

    Raises:
        ReleaseError: it is not live as it should be.
    """
    settings, releases = application.configuration, application.releases
    transaction.origin = releases.live()
    manifest = releases.manifest(transaction.release)
    if manifest is None:
        raise ReleaseError(f"{transaction.release} was never built completely.", next_command="deploy again")
    if transaction.rehearsal:
        rehearse.still_alive(application, transaction)
    is_restart = transaction.what == "restart"
    if not is_restart:
        application.run_tasks("before_activate", settings.hooks.before_activate, transaction.release)
    service = look_at(application)
    transition = choose(application, service, manifest)
    if is_restart and transition.how == "reload":
        transition = Transition("overlap", "a restart was requested", transition.daemon_reload)
    edge = _edge_works(application)
    application.say(f"{transition.how}: {transition.why}")
    replaced = transaction.origin if transaction.what == "deploy" else None
    transaction.flip = {"at": time.time(), "replaced": replaced, "how": transition.how}
    transaction.flip["main_pid"] = service.main_pid
    application.state.renew(transaction)
    if transaction.origin not in (None, transaction.release):
        point(settings.former, f"releases/{transaction.origin}")
    point(settings.current, f"releases/{transaction.release}")
    if settings.web:
        try:
            _carry_out(application, transition)
            verify(application, transaction.release, before=service, how=transition.how, edge=edge)
        except VerificationError as error:
            raise ReleaseError(f"{error}.") from None
    if not is_restart:
        processes.start(application, transaction.release)
    if transaction.what == "deploy":
        application.run_tasks("after_activate", settings.hooks.after_activate, transaction.release)
    if not is_restart:
        record_good(application, transaction)
    if transaction.what == "rollback":
        application.run_tasks_regardless("after_rollback", settings.hooks.after_rollback, transaction.release)
    return {"changed": True, "how": transition.how, "why": transition.why, "edge": edge}


def go_back(application: Application, origin: str | None, main_pid: int | None = None) -> None:
    """Make `origin` live again and verify it, or nothing when there was nothing.

    Raises:
        ReleaseError: it does not serve.
    """
    settings = application.configuration
    if origin is None:
        settings.current.unlink(missing_ok=True)
        processes.settle(application)
        if settings.web:
            # The socket too: nothing would answer who waits there.
            units = [settings.socket_unit, settings.service]
            application.host.systemctl("stop", *units, timeout_seconds=settings.service_timeout_seconds)
            application.host.systemctl("reset-failed", *units)
        return
    point(settings.current, f"releases/{origin}")
    if settings.web:
        _have_it_serve(application, origin, main_pid)
    processes.settle(application)
    application.run_tasks_regardless("after_rollback", settings.hooks.after_rollback, origin)


def _have_it_serve(application: Application, origin: str, main_pid: int | None) -> None:
    """Get the service back to `origin`, which `current` points to, by whatever way works."""
    settings, releases = application.configuration, application.releases
    started = time.time()
    now = look_at(application)
    # For a master that was not replaced, a reload; whatever it refuses, it serves `origin` all the time.
    kept = now.active and main_pid is not None and now.main_pid == main_pid
    best = "reload" if kept else choose(application, now, releases.manifest(origin) or {}).how
    ways = list(dict.fromkeys(["restart" if best == "start" else best, "overlap", "restart"]))
    if settings.handover == "stop_first":
        ways = ["restart"]
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


def record_good(application: Application, transaction: Transaction) -> None:
    """Record that the transaction's release has gone live."""
    releases = application.releases
    manifest = releases.manifest(transaction.release) or {}
    now = time.time()
    manifest.update(activated_at=now, activated_by=transaction.who)
    if transaction.what == "deploy":
        manifest["settings"] = changed_settings.digests(application)
    manifest.setdefault("verified_at", now)
    if transaction.flip.get("replaced") is not None:
        manifest["replaced"] = transaction.flip["replaced"]
    releases.write_manifest(transaction.release, manifest)
