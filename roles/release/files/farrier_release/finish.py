"""finish: remove old releases, and what only they needed."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from farrier_release import interpreter
from farrier_release.application import Application
from farrier_release.build import SANDBOX
from farrier_release.cache import CacheOrder
from farrier_release.errors import ExitCode, ReleaseError
from farrier_release.host import Sandboxed
from farrier_release.releases import Manifest

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
    """Remove what is too old, and what only that needed; the caller holds the lock."""
    releases = application.releases
    everything = releases.all()
    keep = {*everything[-application.configuration.keep_releases :], *releases.in_use()}
    removed = [release for release in everything if release not in keep]
    manifests = {release: releases.manifest(release) or {} for release in everything}
    for release in removed:
        releases.remove(release)
    if removed:
        _shrink_cache(
            application,
            [manifests[release] for release in removed],
            [manifests[release] for release in everything if release in keep],
        )
        for path in interpreter.remove_unused(application.configuration):
            application.say(f"removed {path}, which no release uses any more")
    return removed


def _shrink_cache(application: Application, removed: list[Manifest], kept: list[Manifest]) -> None:
    """Have the build user remove from uv's cache what only removed releases had.

    What was built of the application itself goes too: from a place that is never built from again.
    """
    settings = application.configuration
    cache = str(settings.cache_directory)
    needed = {package for manifest in kept for package in manifest.get("packages", {}).items()}
    had = {package for manifest in removed for package in manifest.get("packages", {}).items()}
    order = CacheOrder(
        cache=cache,
        uv=str(settings.uv),
        built=sorted({manifest["package"] for manifest in removed if manifest.get("package")}),
        dropped=sorted([name, version] for name, version in had - needed),
    )
    application.host.run_sandboxed(
        Sandboxed(
            unit=f"farrier-{settings.name}-cache",
            user=settings.build_user,
            command=[sys.executable, "-m", "farrier_release.cache"],
            directory=settings.library_directory,
            properties=[*SANDBOX, f"ReadWritePaths={cache}"],
            environment={"PYTHONDONTWRITEBYTECODE": "1"},
            stdin=json.dumps(asdict(order)),
            timeout_seconds=settings.build_timeout_seconds,
        )
    )
