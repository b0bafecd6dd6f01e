"""A requirements.txt that pins only a part: what completed it once completes it again."""

from __future__ import annotations

from farrier_release import interpreter
from farrier_release.releases import Releases


def recorded(releases: Releases, sha256: str, python: str) -> tuple[str, dict[str, str]]:
    """The newest release that was built from the same list, and its packages.

    Args:
        releases: of the application.
        sha256: of the list; "" where it is no such list.
        python: path of the interpreter to build with. Another minor version may need other packages.

    Returns:
        Its id, and names (normalised) and versions of what is installed in it; "" and nothing without one.
    """
    for release in reversed(releases.all()) if sha256 else ():
        manifest = releases.manifest(release)
        if not manifest or manifest.get("lock_sha256") != sha256:
            continue
        if _minor(manifest["python"]["version"]) == _minor(interpreter.describe(python)["version"]):
            return release, manifest["packages"]
    return "", {}


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
