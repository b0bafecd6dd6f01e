"""A requirements.txt that names only a part: what completed it once completes it again."""

from __future__ import annotations

from typing import Any

from farrier_release import interpreter
from farrier_release.releases import Releases

Completion = tuple[str, dict[str, str]]


def find(releases: Releases, lock: dict[str, Any], python: str) -> Completion:
    """What is known to complete a list: by the controller, for the whole fleet, else by this host.

    Args:
        releases: of the application.
        lock: what the controller says of the lock. Without `sha256` it leaves nothing open.
        python: path of the interpreter to build with. Another minor version may need other packages.

    Returns:
        The release that was completed so, and names (normalised) and versions of what is installed in it; ""
        and nothing without one.
    """
    sha256 = lock.get("sha256")
    if not sha256:
        return "", {}
    minor = _minor(interpreter.describe(python)["version"])
    told = lock.get("completions", {}).get(minor)
    if told:
        return told["by"], told["packages"]
    for release in reversed(releases.all()):
        manifest = releases.manifest(release)
        if not manifest or manifest.get("lock_sha256") != sha256:
            continue
        if _minor(manifest["python"]["version"]) == minor:
            return release, manifest["packages"]
    return "", {}


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
