"""watch: undo a release that dies soon after it went live, even if the controller is gone.

The hand-over master keeps the former workers at hand for some seconds and lets them serve again when all new
ones end. The symlink would then still point to the dead release, and the next restart would bring it back:
this puts it right.
"""

from __future__ import annotations

import time

from farrier_release import activation, audit
from farrier_release.application import Application
from farrier_release.transition import look_at
from farrier_release.workers import wrong_workers

_LOOK_EVERY_SECONDS = 0.5
# A worker that is replaced once, by whatever it was killed, is no reason to undo a release.
_FAULTS_IN_A_ROW = 3
_LOCK_WAIT_SECONDS = 120


def unit_of(application: Application) -> str:
    """Name of the unit that watches."""
    return f"farrier-{application.configuration.name}-watch"


def start(application: Application, release: str, origin: str | None) -> None:
    """Begin to watch a release in a unit of its own, in place of any former watch."""
    settings = application.configuration
    if origin is None or settings.watch_seconds == 0:
        return
    unit = unit_of(application)
    application.host.systemctl("stop", f"{unit}.service")
    command = [*application.tool, "watch", "--release", release, "--origin", origin]
    application.host.start_detached(unit, command, timeout_seconds=settings.watch_seconds + 600)


def watch(application: Application, release: str, origin: str) -> dict[str, object]:
    """Look at a release for `watch_seconds`, and put `origin` back when it does not stay alive.

    Raises:
        ReleaseError: that did not work.
    """
    until = time.monotonic() + application.configuration.watch_seconds
    faults = 0
    while faults < _FAULTS_IN_A_ROW:
        if time.monotonic() >= until or application.releases.live() != release:
            return {"changed": False, "message": f"{release} stayed healthy."}
        time.sleep(_LOOK_EVERY_SECONDS)
        faults = faults + 1 if _fault(application, release) else 0
    with application.lease_file.locked(wait_seconds=_LOCK_WAIT_SECONDS):
        reason = _fault(application, release)
        if not reason or application.releases.live() != release:
            return {"changed": False, "message": f"{release} serves again, or is no longer live."}
        return _undo(application, release, origin, reason)


def _fault(application: Application, release: str) -> str:
    service = look_at(application)
    if service.restarts or service.state in ("failed", "inactive"):
        return f"{application.configuration.service} died"
    if service.state != "active":  # somebody restarts or reloads it
        return ""
    return wrong_workers(application.configuration.run_directory, release)


def _undo(application: Application, release: str, origin: str, reason: str) -> dict[str, object]:
    settings, releases = application.configuration, application.releases
    log = application.host.journal(settings.service, since_seconds=time.time() - settings.watch_seconds)
    message = f"{release} went live but did not stay healthy: {reason}."
    entry = {"what": "watch", "who": "farrier-release", "from": release, "to": origin, "message": message}
    manifest = releases.manifest(release) or {}
    manifest.pop("verified_at", None)
    releases.write_manifest(release, manifest)
    try:
        activation.go_back(application, origin)
    except Exception:
        audit.record(settings, {**entry, "result": "broken", "log": log[-20:]})
        raise
    audit.record(settings, {**entry, "result": "undone", "log": log[-20:]})
    return {"changed": True, "message": f"{message} {origin} is live again."}
