"""A transaction's run: a unit of its own that goes on without whoever has started it, and can be followed.

`start` hands the steps to the unit, `run` is what the unit does, and `follow` says what has come of it: in
calls of a few seconds, since nobody can count on a connection that is silent for longer.
"""

from __future__ import annotations

import contextlib
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from farrier_release import (
    activation,
    audit,
    build,
    changed_settings,
    migrate,
    processes,
    progress,
    rehearse,
    save,
    transfer,
)
from farrier_release.application import Application
from farrier_release.config import Configuration
from farrier_release.errors import ExitCode, ReleaseError, UsageError
from farrier_release.finish import prune
from farrier_release.reconcile import End, reconcile
from farrier_release.state import Transaction
from farrier_release.transition import look_at
from farrier_release.watch import watch

Result = dict[str, Any]
Step = Callable[[Application, Transaction], Result]

# What each command does, and the phase that it goes on from.
ORDERS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "prepare": (("build", "rehearse"), "begin"),
    "receive": (("receive", "rehearse"), "begin"),
    "deploy": (("build", "rehearse", "migrate", "activate"), "begin"),
    "rollback": (("rehearse", "activate"), "begin"),
    "restart": (("activate",), "begin"),
    "activate": (("activate",), "prepared"),
}
FOLLOW_SECONDS = 10.0
_POLL_SECONDS = 0.05
_UNIT_EVERY_SECONDS = 0.5
_RUNNING = ("active", "activating", "reloading", "deactivating")
_LOCK_WAIT_SECONDS = 60


def start(application: Application, token: str, order: str, options: list[str] | None = None) -> str:
    """Start the unit that carries out an order of ORDERS for the holder of the transaction.

    Args:
        application: whose transaction.
        token: of its holder.
        order: what to do.
        options: further ones for `run`.

    Returns:
        What names this run, for `follow`.

    Raises:
        ReleaseError: it is not its turn, or systemd cannot start it.
    """
    host = application.host
    steps, after = ORDERS[order]
    with application.state.locked():
        transaction = application.state.holder(token)
        if transaction.phase != after:
            raise UsageError(
                f"{order} comes after {after}, but {transaction.release} is at {transaction.phase}.",
                next_command="deploy again",
            )
        settings = changed_settings.in_force(application, transaction.settings).configuration
        transaction.order = secrets.token_hex(8)
        application.state.renew(transaction)
    progress.clear(application.configuration)
    # The watch over the release before ends, whose transaction is no longer the one that is under way.
    host.systemctl("stop", f"{application.transaction_unit}.service")
    recover = shlex.join([*application.tool, "recover", "--order", transaction.order])
    done = host.start_detached(
        application.transaction_unit,
        [*application.tool, "run", "--token", token, "--order", order, *(options or [])],
        # Not by OnFailure=: systemd may then keep the failed unit for good, and with it the name.
        afterwards=f"/bin/sh -c 'test \"$SERVICE_RESULT\" = success || exec {recover}'",
        timeout_seconds=_limit_seconds(settings, steps),
        afterwards_timeout_seconds=_undo_seconds(settings),
    )
    if done.returncode != 0:
        error = ReleaseError(
            f"systemd cannot start {application.transaction_unit}.",
            log=done.tail,
            next_command=f"systemctl status {application.transaction_unit}",
        )
        with application.state.locked(wait_seconds=_LOCK_WAIT_SECONDS):
            reconcile(application, reason="its unit did not start", fault=error)
        raise error
    return transaction.order


def run(application: Application, token: str, order: str, options: Mapping[str, Any]) -> Result:
    """What the unit does: the steps one after the other, and all of it undone when one fails.

    Raises:
        ReleaseError: it failed; the exit code says whether it was undone. The result is on record as well.
    """
    with (
        contextlib.redirect_stderr(progress.Progress(application.configuration, sys.stderr)),
        application.state.locked(wait_seconds=_LOCK_WAIT_SECONDS),
    ):
        transaction = application.state.holder(token)
        deployed = changed_settings.in_force(application, transaction.settings)
        steps = _steps(deployed, order, is_to_migrate=bool(options.get("migrate")))
        found: Result = {}
        for step in steps:
            with _undone_on_failure(application, transaction, step):
                one = _step(deployed, transaction, step, options)
            found |= {**one, "changed": found.get("changed", False) or one["changed"]}
        if steps[-1] == "activate":
            found |= _is_live(deployed, transaction, found)
        else:
            found |= _is_prepared(application, transaction, found)
    if steps[-1] == "activate":
        _end_of_deploy(application, transaction)
    return found


def _steps(application: Application, order: str, *, is_to_migrate: bool) -> tuple[str, ...]:
    steps, _ = ORDERS[order]
    if is_to_migrate:
        steps = (*steps, "migrate")
    if "migrate" not in steps:
        return steps
    is_first = application.releases.live() is None
    settings = application.configuration
    is_saved = settings.backup_before_migrate and settings.migrate and not is_first
    migration = ("save", "migrate") if is_saved else ("migrate",)
    others = [step for step in steps if step != "migrate"]
    # While nothing is live, a migration breaks nobody, and a start-up may read what it makes.
    is_early = settings.migrate_before_rehearsal or is_first
    position = others.index("rehearse") if is_early else steps.index("migrate")
    return (*others[:position], *migration, *others[position:])


def follow(application: Application, order: str, offset: int, seconds: float = FOLLOW_SECONDS) -> Result:
    """Wait for the end of a run, but not for long.

    Args:
        application: whose transaction.
        order: what `start` returned.
        offset: how much of what it says is known, in bytes.
        seconds: how long to wait.

    Returns:
        What the run returned, or `running` with its `step` if that was waited for; in any case its `lines`
        since then, and the `offset` behind them.

    Raises:
        ReleaseError: it failed, see `run`; or nobody knows of it any more.
    """
    until, next_look = time.monotonic() + seconds, time.monotonic() + _UNIT_EVERY_SECONDS
    is_running = True
    while True:
        result = application.state.result_of(order)
        if result is not None:
            break
        if not is_running:
            result = _of_killed(application, order)
            break
        if time.monotonic() >= until:
            break
        if time.monotonic() >= next_look:
            next_look = time.monotonic() + _UNIT_EVERY_SECONDS
            # Looked at once more after its end: it may have reported in between.
            state = application.host.show(application.transaction_unit, "ActiveState").get("ActiveState")
            is_running = state in _RUNNING
        time.sleep(_POLL_SECONDS)
    lines, offset = progress.read(application.configuration, offset)
    told = {"lines": lines, "offset": offset, "order": order}
    if result is None:
        transaction = application.state.read()
        step = transaction.phase if transaction and seconds else ""
        return {"changed": True, "running": True, "step": step, **told}
    if "error" in result:
        raise ReleaseError.from_details(result["error"])
    return {**result, **told}


def _step(
    application: Application, transaction: Transaction, name: str, options: Mapping[str, Any]
) -> Result:
    """Do one step, with the settings that the transaction brings."""
    steps: dict[str, Step] = {
        "build": build.build,
        "receive": lambda app, one: transfer.receive(
            app, one, options["index"], options["index_sha256"], options.get("pack")
        ),
        "rehearse": rehearse.rehearse,
        "save": save.save,
        "migrate": migrate.migrate,
        "activate": activation.activate,
    }
    return steps[name](application, transaction)


@contextlib.contextmanager
def _undone_on_failure(application: Application, transaction: Transaction, name: str) -> Iterator[None]:
    """Put a step on record, and undo everything when it fails."""
    transaction.phase = name
    application.state.renew(transaction)
    application.say(f"{name} {transaction.release}")
    started = time.monotonic()
    try:
        yield
    except (ReleaseError, OSError) as error:
        fault = error
        if isinstance(error, OSError):
            fault = ReleaseError(f"{name}: {error}", next_command=f"df -h {application.configuration.root}")
        assert isinstance(fault, ReleaseError)
        transaction.seconds[name] = round(time.monotonic() - started, 3)
        with contextlib.suppress(OSError):  # a disk that is full has room again when the release is gone
            application.state.renew(transaction)
        end = reconcile(application, reason=f"{name} failed", fault=fault)
        raise (end.error if end and end.error else fault) from None
    transaction.seconds[name] = round(time.monotonic() - started, 3)
    application.state.renew(transaction)


def _is_prepared(application: Application, transaction: Transaction, found: Result) -> Result:
    """Leave the release to `activate`, on this host or when others have had their turn."""
    transaction.phase = "prepared"
    application.state.renew(transaction)
    found |= {
        "phases": transaction.seconds,
        "message": f"{transaction.release} is prepared. {_times(transaction)}.",
    }
    application.state.report(transaction, found)
    return found


def _is_live(application: Application, transaction: Transaction, found: Result) -> Result:
    """Put on record that the release is live; from here on it is watched."""
    audit.record(
        application.configuration,
        {
            **transaction.entry(),
            "how": found["how"],
            "result": "live",
            "seconds": transaction.seconds,
            "message": found["why"],
        },
    )
    found |= {
        "phases": transaction.seconds,
        "release": transaction.release,
        "from": transaction.origin,
        "message": f"{transaction.release} is live{_settings_told(application, transaction)} "
        f"({found['how']}: {found['why']}). {_times(transaction)}.",
    }
    if transaction.what == "rollback" and transaction.origin:
        saved_at = (application.releases.manifest(transaction.origin) or {}).get("saved_at")
        found["message"] = " ".join(filter(None, (found["message"], save.way_back(application, saved_at))))
    transaction.phase = "watch"
    transaction.flip["restarts"] = look_at(application).restarts
    transaction.flip.pop("main_pid", None)
    application.state.renew(transaction)
    application.state.report(transaction, found)
    prune(application)
    return found


def _settings_told(application: Application, transaction: Transaction) -> str:
    if transaction.what != "rollback" or transaction.settings:
        return changed_settings.told(transaction.settings)
    manifest = application.releases.manifest(transaction.release) or {}
    return changed_settings.told_since(application, manifest)


def _end_of_deploy(application: Application, transaction: Transaction) -> None:
    # Stopped before, it would have taken the new workers' processors.
    rehearse.dismiss(application, transaction)
    is_new = transaction.origin not in (None, transaction.release)
    fault = watch(application, transaction) if is_new else ""
    with application.state.locked(wait_seconds=_LOCK_WAIT_SECONDS):
        current = application.state.read()
        if current is None or current.order != transaction.order:
            return
        error = None
        if fault and application.releases.live() == current.release:
            since = float(transaction.flip["at"])
            error = processes.failure(application, current.release, since_seconds=since)
            error = error or ReleaseError(fault)
        reconcile(application, reason="it was watched", fault=error)


def _of_killed(application: Application, order: str) -> Result:
    """The result of a run whose unit has ended without one."""
    end: End | None = None
    with application.state.locked(wait_seconds=_LOCK_WAIT_SECONDS):
        result = application.state.result_of(order)
        current = application.state.read()
        if result is None and current is not None and current.order == order:
            end = reconcile(application, reason="it was interrupted")
            result = application.state.result_of(order)
    if result is not None:
        return result
    unit = application.transaction_unit
    raise ReleaseError(
        end.message if end else f"The result of {unit} is lost.",
        next_command=f"{application.command} status; journalctl -u {unit}",
        exit_code=ExitCode.BROKEN,
    )


def _times(transaction: Transaction) -> str:
    return ", ".join(f"{phase} {duration:.1f} s" for phase, duration in transaction.seconds.items())


def _limit_seconds(settings: Configuration, steps: tuple[str, ...]) -> int:
    """How long a run may take: everything that has a limit of its own, and its undoing."""
    hooks = len(settings.hooks.before_activate) + len(settings.hooks.after_activate)
    limits = {
        "build": settings.build_timeout_seconds,
        "receive": settings.build_timeout_seconds,
        "rehearse": settings.rehearsal_timeout_seconds,
        "activate": _hand_over_seconds(settings)
        + hooks * settings.task_timeout_seconds
        + settings.watch_seconds,
    }
    migrations = len(settings.migrate) * settings.migrate_timeout_seconds
    migrations += settings.backup_before_migrate * settings.task_timeout_seconds
    return sum(limits.get(step, 0) for step in steps) + migrations + _undo_seconds(settings)


def _hand_over_seconds(settings: Configuration) -> int:
    """How long an overlap may take: a stand-in starts, the service restarts, and both are verified."""
    overlap_seconds = 2 * (settings.service_timeout_seconds + settings.verify_timeout_seconds)
    return overlap_seconds + processes.hand_over_seconds(settings)


def _undo_seconds(settings: Configuration) -> int:
    """How long an undo may take, which tries one way after the other."""
    hooks = len(settings.hooks.after_rollback) * settings.task_timeout_seconds
    return 3 * _hand_over_seconds(settings) + hooks + 60
