"""finish: old releases go."""

from __future__ import annotations

from typing import Any

from farrier_release.application import Application
from farrier_release.errors import ExitCode, ReleaseError

_LOCK_WAIT_SECONDS = 5


def finish(application: Application) -> dict[str, Any]:
    """Keep the newest `keep_releases`, and never remove one that is in use.

    A deploy that has begun meanwhile is left alone; it will prune when it is done.
    """
    try:
        with application.lease_file.locked(wait_seconds=_LOCK_WAIT_SECONDS):
            removed = [] if application.lease_file.read() else prune(application)
    except ReleaseError as error:
        if error.exit_code != ExitCode.BUSY:
            raise
        removed = []
    return {
        "changed": bool(removed),
        "removed": removed,
        "message": f"{len(removed)} old release(s) removed.",
    }


def prune(application: Application) -> list[str]:
    """Remove what is too old; the caller holds the lock."""
    releases = application.releases
    everything = releases.all()
    keep = {*everything[-application.configuration.keep_releases :], *releases.in_use()}
    removed = [release for release in everything if release not in keep]
    for release in removed:
        releases.remove(release)
    return removed
