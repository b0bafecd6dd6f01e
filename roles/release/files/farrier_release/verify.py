"""verify: the service is what it should be, seen from systemd, its workers, its socket and nginx."""

from __future__ import annotations

import time
from collections.abc import Callable

from farrier_release.application import Application
from farrier_release.probe import ask, ask_edge
from farrier_release.transition import Service, look_at
from farrier_release.workers import wrong_workers

_POLL_SECONDS = 0.03
_GIVE_UP_EVERY_SECONDS = 0.25
_PROBE_TIMEOUT_SECONDS = 5.0
_PROBE_MIN_SECONDS = 0.2
_PROBES = 3


class VerificationError(Exception):
    """What is not as it should be, in a sentence."""


def verify(application: Application, release: str, *, before: Service, how: str, edge: bool) -> None:
    """Wait until everything is as the transition to `release` should have left it.

    Args:
        application: whose service.
        release: that should be live.
        before: the service before.
        how: `reload`, `overlap`, `restart` or `start`.
        edge: whether to look through nginx too.

    Raises:
        VerificationError: it is not within `verify_timeout_seconds`.
    """
    _check_master(application, before, how)
    limit_seconds = application.configuration.verify_timeout_seconds
    wait_until(
        lambda seconds: _serving_fault(application, release, seconds),
        limit_seconds,
        lambda: _check_master(application, before, how),
    )
    if edge:
        wait_until(lambda seconds: _edge_fault(application, release, seconds), limit_seconds)
    _check_master(application, before, how)


def wait_until_serving(application: Application, release: str, limit_seconds: float) -> None:
    """Wait until all workers and fresh connections over the socket are of `release`.

    Raises:
        VerificationError: they are not within the limit.
    """
    wait_until(lambda seconds: _serving_fault(application, release, seconds), limit_seconds)


def _check_master(application: Application, before: Service, how: str) -> None:
    now = look_at(application)
    service = application.configuration.service
    if not now.active or not now.main_pid:
        raise VerificationError(f"{service} is not running")
    if how == "reload" and now.main_pid != before.main_pid:
        raise VerificationError(f"the master of {service} ended during the reload")
    if how in ("overlap", "restart") and now.main_pid == before.main_pid:
        raise VerificationError(f"{service} was not restarted")
    # A restart by hand sets the counter back to 0.
    if now.restarts > (before.restarts if how == "reload" else 0):
        raise VerificationError(f"{service} died and systemd restarted it")


def _serving_fault(application: Application, release: str, limit_seconds: float) -> str:
    settings = application.configuration
    deadline = time.monotonic() + limit_seconds
    fault = wrong_workers(settings.run_directory, release)
    if fault:
        return fault
    for _ in range(_PROBES):
        answer = ask(
            settings.socket,
            settings.health_path,
            settings.health_host,
            timeout_seconds=_within(deadline - time.monotonic()),
            tls=settings.tls,
        )
        fault = answer.fault(release, settings.health_status)
        if fault:
            return f"{settings.health_path} over the socket {fault}"
    return ""


def _edge_fault(application: Application, release: str, limit_seconds: float) -> str:
    """nginx may still hold connections to old workers, and each of them may answer once more."""
    settings = application.configuration
    assert settings.edge is not None
    answer = ask_edge(settings.edge, settings.health_path, timeout_seconds=_within(limit_seconds))
    fault = answer.fault(release, settings.health_status)
    return f"{settings.health_path} through nginx {fault}" if fault else ""


def _within(seconds: float) -> float:
    """Time for one probe: what is left, but enough for an answer that is ready."""
    return min(_PROBE_TIMEOUT_SECONDS, max(_PROBE_MIN_SECONDS, seconds))


def wait_until(
    fault: Callable[[float], str], limit_seconds: float, give_up: Callable[[], None] = lambda: None
) -> None:
    """Wait until there is no fault.

    Args:
        fault: returns what is wrong, or ""; it is told how many seconds are left.
        limit_seconds: how long to wait.
        give_up: called now and then; raises when waiting is of no use.
    """
    deadline = time.monotonic() + limit_seconds
    next_look = time.monotonic() + _GIVE_UP_EVERY_SECONDS
    while True:
        found = fault(deadline - time.monotonic())
        if not found:
            return
        if time.monotonic() >= deadline:
            raise VerificationError(found)
        if time.monotonic() >= next_look:
            next_look = time.monotonic() + _GIVE_UP_EVERY_SECONDS
            give_up()
        time.sleep(_POLL_SECONDS)
