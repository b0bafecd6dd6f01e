"""rehearse: the new release must live on a socket of its own before it may have the real one."""

from __future__ import annotations

import signal
import time
from typing import Any

from farrier_release import hints, processes
from farrier_release.application import Application
from farrier_release.errors import ConfigurationError, ReleaseError
from farrier_release.probe import Answer, ask
from farrier_release.state import Transaction
from farrier_release.transition import choose, look_at
from farrier_release.workers import boot_failure, workers

_POLL_SECONDS = 0.03
_STATE_EVERY_SECONDS = 0.25
_PROBE_TIMEOUT_SECONDS = 5
# A health path may answer "not yet" for a moment after the start, but not for long.
_WRONG_ANSWER_PATIENCE_SECONDS = 3
_STATE = ("ActiveState", "ExecMainStatus", "Job", "Result", "NRestarts")


def rehearse(application: Application, transaction: Transaction) -> dict[str, Any]:
    """Boot the transaction's release under the service's sandbox, user and environment, and ask it who it is.

    It is left running: what dies a little later dies in front of `still_alive`, before the symlink moves.

    Raises:
        ReleaseError: it does not live, is not what it should be, or lacks the command of a process or timer.
    """
    if transaction.what == "deploy":
        processes.check(application, transaction.release)
    manifest = application.releases.manifest(transaction.release) or {}
    if not application.configuration.web or application.configuration.handover == "stop_first":
        return {
            "changed": False,
            "how": choose(application, look_at(application), manifest).how,
            "message": f"{transaction.release} is not rehearsed, and has all commands that it needs.",
        }
    unit = application.configuration.rehearsal_unit_of(transaction.release)
    started = time.time()
    transaction.rehearsal = {"unit": unit, "started_at": started}
    application.state.renew(transaction)
    # All rehearsals share a directory; one that is still ending would take it away from the next.
    application.host.systemctl("stop", application.configuration.rehearsal_unit_of("*"))
    done = application.host.systemctl("start", "--no-block", unit)
    if done.returncode != 0:
        raise ConfigurationError(
            f"systemd cannot start {unit}: {' '.join(done.tail)}",
            next_command="ansible-playbook farrier.kit.site",
        )
    try:
        _wait_until_good(application, transaction.release, unit, started)
    except ReleaseError:
        end(application, unit)
        raise
    transaction.rehearsal["ready_at"] = time.monotonic()
    transaction.rehearsal["workers"] = _serving(application)
    boot_seconds = round(time.time() - started, 2)
    return {
        "changed": True,
        # So that a host that has to restart can be taken out of the rotation before.
        "how": choose(application, look_at(application), manifest).how,
        "boot_seconds": boot_seconds,
        "message": f"{transaction.release} boots and answers its health path after {boot_seconds} s.",
    }


def still_alive(application: Application, transaction: Transaction) -> None:
    """Wait until the rehearsed release has lived for `rehearsal_seconds`, and look at it again.

    One that goes live again has lived for longer than that already, and is not waited for.

    Raises:
        ReleaseError: it has died meanwhile, or no longer answers.
    """
    settings = application.configuration
    unit, started = transaction.rehearsal["unit"], transaction.rehearsal["started_at"]
    until = transaction.rehearsal["ready_at"] + (
        settings.rehearsal_seconds if transaction.what == "deploy" else 0
    )
    while True:
        fault = _death(application, transaction.release, unit, started)
        if not fault and _serving(application) != transaction.rehearsal["workers"]:
            fault = "its worker died and was replaced"
        if fault:
            raise _failure(application, transaction.release, unit, started, fault)
        if time.monotonic() >= until:
            break
        time.sleep(min(_STATE_EVERY_SECONDS, max(0.0, until - time.monotonic())))
    fault = _ask(application).fault(transaction.release, settings.health_status)
    if fault:
        raise _failure(application, transaction.release, unit, started, f"it {fault}")


def dismiss(application: Application, transaction: Transaction) -> None:
    """Have a rehearsal end in its own time, and leave no failed unit when that takes too long."""
    if transaction.rehearsal:
        application.host.systemctl("stop", transaction.rehearsal["unit"])
        application.host.systemctl("reset-failed", transaction.rehearsal["unit"])


def end(application: Application, unit: str) -> None:
    """Nothing of a rehearsal is left, also when it hangs."""
    application.host.systemctl("kill", "--signal=KILL", unit)
    application.host.systemctl("stop", unit)
    application.host.systemctl("reset-failed", unit)


def _wait_until_good(application: Application, release: str, unit: str, started: float) -> None:
    settings = application.configuration
    deadline = time.monotonic() + settings.rehearsal_timeout_seconds
    next_state, first_answer, good = 0.0, 0.0, 0
    while True:
        now = time.monotonic()
        answer = _ask(application)
        fault = answer.fault(release, settings.health_status)
        good = 0 if fault else good + 1
        if answer.status and not first_answer:
            first_answer = now
        if good >= 2 or now >= next_state:
            next_state = now + _STATE_EVERY_SECONDS
            death = _death(application, release, unit, started, when=" before it served")
            if death:
                raise _failure(application, release, unit, started, death)
            if good >= 2:
                return
        wrong_release = answer.status == settings.health_status and fault
        if fault and first_answer and (wrong_release or now - first_answer > _WRONG_ANSWER_PATIENCE_SECONDS):
            raise _failure(application, release, unit, started, f"{settings.health_path} {fault}")
        if now > deadline:
            limit = f"within {settings.rehearsal_timeout_seconds} s"
            raise _failure(
                application, release, unit, started, f"{settings.health_path} did not answer {limit}: {fault}"
            )
        time.sleep(_POLL_SECONDS)


def _ask(application: Application) -> Answer:
    settings = application.configuration
    socket = str(settings.rehearsal_directory / "http.sock")
    return ask(
        socket,
        settings.health_path,
        settings.health_host,
        timeout_seconds=_PROBE_TIMEOUT_SECONDS,
        tls=settings.tls,
    )


def _serving(application: Application) -> list[int]:
    return [
        worker.pid
        for worker in workers(application.configuration.rehearsal_directory)
        if worker.state == "ready"
    ]


def _death(application: Application, release: str, unit: str, started: float, *, when: str = "") -> str:
    """How the rehearsal has died, or "" when it lives or is still starting."""
    run_directory = application.configuration.rehearsal_directory
    failure = boot_failure(run_directory, since_seconds=started, release=release)
    if failure:
        return f"its worker failed to start: {failure.error}"
    state = application.host.show(unit, *_STATE)
    if state.get("Job"):  # systemd has not come to it yet
        return ""
    if state.get("ActiveState") in ("failed", "inactive", "deactivating"):
        return _ending(state.get("Result", ""), state.get("ExecMainStatus", "")) + when
    if state.get("NRestarts", "0") != "0":
        return "it died and systemd restarted it"
    return ""


def _ending(result: str, status: str) -> str:
    """What systemd calls a result, in words."""
    if result == "success":
        return "it ended by itself with exit code 0"
    if result == "exit-code":
        return f"it ended with exit code {status}"
    if result in ("signal", "core-dump") and status.isdecimal():
        try:
            return f"it was killed by {signal.Signals(int(status)).name}"
        except ValueError:  # most real-time signals have no name
            return f"it was killed by signal {status}"
    if result == "oom-kill":
        return "the kernel killed it for lack of memory"
    return f"systemd ended it ({result or 'for no reason that it gives'})"


def _failure(application: Application, release: str, unit: str, started: float, fault: str) -> ReleaseError:
    log = application.host.journal(unit, since_seconds=started)
    hint = hints.of_the_sandbox([*log, fault])
    if application.releases.live():
        hint = hints.of_two_copies([*log, fault]) or hint
    return ReleaseError(
        f"{release} failed its rehearsal and does not go live: {fault}.",
        log=log,
        next_command=hint or "correct the release and deploy again",
    )
