"""finish: remove old releases."""

from __future__ import annotations

from typing import Any

from farrier_release.application import Application
from farrier_release.build import SANDBOX
from farrier_release.errors import ExitCode, ReleaseError
from farrier_release.host import Sandboxed

_LOCK_WAIT_SECONDS = 5


def finish(application: Application) -> dict[str, Any]:
    """Keep the newest `keep_releases`, and never remove one that is in use.

    A deploy that has begun meanwhile is left alone; it will prune when it is done.
    """
    try:
        with application.state.locked(wait_seconds=_LOCK_WAIT_SECONDS):
            removed = [] if application.state.read() else prune(application)
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
    packages = {(releases.manifest(release) or {}).get("package") for release in removed}
    for release in removed:
        releases.remove(release)
    for package in filter(None, packages):
        _forget_builds(application, package)
    return removed


def _forget_builds(application: Application, package: str) -> None:
    """Have uv forget what it built of the application itself: from a place that is never built from again."""
    settings = application.configuration
    cache = str(settings.cache_directory)
    application.host.run_sandboxed(
        Sandboxed(
            unit=f"farrier-{settings.name}-forget",
            user=settings.build_user,
            command=[str(settings.uv), "--quiet", "cache", "clean", package],
            directory=settings.releases_directory,
            properties=[*SANDBOX, f"ReadWritePaths={cache}"],
            environment={"HOME": cache, "UV_CACHE_DIR": cache},
            timeout_seconds=settings.build_timeout_seconds,
        )
    )
