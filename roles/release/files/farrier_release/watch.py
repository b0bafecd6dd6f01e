"""watch: the end of a deploy. A release that dies soon after it went live is undone.

The hand-over master keeps the former workers at hand for some seconds and lets them serve again when all new
ones end. The symlink would then still point to the dead release, and the next restart would bring it back.
"""

from __future__ import annotations

import time

from farrier_release import processes
from farrier_release.application import Application
from farrier_release.state import Transaction
from farrier_release.transition import look_at
from farrier_release.workers import wrong_workers

_LOOK_EVERY_SECONDS = 0.5
# A worker that is replaced once, by whatever it was killed, is no reason to undo a release.
_FAULTS_IN_A_ROW = 3


def watch(application: Application, transaction: Transaction) -> str:
    """Look at the live release for `watch_seconds`; returns why it must not stay live, or ""."""
    until = time.monotonic() + application.configuration.watch_seconds
    faults: list[str] = []
    while time.monotonic() < until and application.releases.live() == transaction.release:
        time.sleep(_LOOK_EVERY_SECONDS)
        if application.configuration.web and look_at(application).state == "inactive":
            return (
                ""  # somebody has stopped it: a service that ends by itself is started again, or has failed
            )
        fault = fault_of(application, transaction)
        faults = [*faults, fault] if fault else []
        if len(faults) >= _FAULTS_IN_A_ROW:
            return fault
    return ""


def fault_of(application: Application, transaction: Transaction) -> str:
    """Why the release that went live is not good, or "". A restart by somebody is no fault of it."""
    if not application.configuration.web:
        return processes.fault(application, transaction.release)
    service = look_at(application)
    # Counted from the end of the activation: what happened to the master before says nothing of this release.
    if service.state == "failed" or service.restarts > transaction.flip.get("restarts", 0):
        return f"{application.configuration.service} died"
    if service.state != "active":
        return ""
    wrong = wrong_workers(application.configuration.run_directory, transaction.release)
    return wrong or processes.fault(application, transaction.release)
