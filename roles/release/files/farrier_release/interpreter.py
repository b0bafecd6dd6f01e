"""Which Python a release gets: the one asked for, else the distribution's, else one that fits."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from pathlib import Path

from farrier_release.application import Application
from farrier_release.config import CONFIGURATION_DIRECTORY, Configuration, load
from farrier_release.errors import ReleaseError
from farrier_release.host import Completed, run
from farrier_release.releases import Releases
from farrier_release.state import StateFile
from farrier_release.storage import remove_tree, sync_file_system
from farrier_release.workers import master

# An interpreter is some 30 MB, from a mirror that may be slow.
_INSTALL_TIMEOUT_SECONDS = 600
_FIND_TIMEOUT_SECONDS = 60
_YOUNG_SECONDS = 3600

DISTRIBUTION = "/usr/bin/python3"
SEARCH_PATH = "/usr/bin:/bin:/usr/local/bin"
_ANY = ">=3"


def choose(application: Application, requires: str) -> str:
    """Path of the interpreter to build with.

    Args:
        application: whose `python` setting is asked first.
        requires: `requires-python` of its project, or "".

    Raises:
        ReleaseError: none on this host fits, and none could be provided.
    """
    wanted = application.configuration.python
    if wanted and wanted.startswith("/"):
        if not os.access(wanted, os.X_OK):
            raise ReleaseError(
                f"python is {wanted}, which is not a program on this host.", next_command=_fix(requires)
            )
        if not _fits(application, wanted, requires or _ANY):
            raise ReleaseError(
                f"{wanted} is not a Python that satisfies {requires or _ANY!r}.", next_command=_fix(requires)
            )
        return wanted
    request = wanted or requires or _ANY
    if not wanted and _fits(application, DISTRIBUTION, request):
        return DISTRIBUTION
    found = _find(application, request, "only-system") or _find(application, request, "only-managed")
    if found is None:
        application.say(f"no Python {request} on this host: asking uv for one")
        done = _install(application, request)
        found = _find(application, request, "only-managed")
        if found is not None:
            sync_file_system(application.configuration.python_directory)
        else:
            raise ReleaseError(
                f"The application wants Python {request}; this host has {_distribution()}, "
                "and uv could not provide one.",
                log=done.tail,
                next_command=_fix(requires),
            )
    elif not wanted:
        application.say(
            f"the app requires Python {request}, and {DISTRIBUTION} is {_distribution()}: built with {found}"
        )
    if wanted and requires and not _fits(application, found, requires):
        raise ReleaseError(
            f"python is {wanted!r}, but the application's requires-python is {requires!r}.",
            next_command=_fix(requires),
        )
    return found


def describe(interpreter: str) -> dict[str, str]:
    """`version` and `executable`, its links resolved, of an interpreter."""
    code = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    version = run([interpreter, "-I", "-S", "-c", code]).stdout.strip()
    return {"version": version, "executable": os.path.realpath(interpreter)}


def platform_of(python: dict[str, str]) -> str:
    """What two hosts must have in common for a release with this interpreter to run on both.

    Args:
        python: `version` and `executable`.
    """
    system = platform.freedesktop_os_release()
    version = system.get("VERSION_ID") or system.get("VERSION_CODENAME", "")
    return " ".join([system["ID"], version, platform.machine(), python["executable"], python["version"]])


def remove_unused(settings: Configuration, directory: Path = CONFIGURATION_DIRECTORY) -> list[Path]:
    """Remove the interpreters that uv has provided and that no release of any application uses.

    None is removed while a deploy of another application is under way, or shortly after its installation.

    Args:
        settings: of the application whose releases were pruned.
        directory: where all applications have their settings.

    Returns:
        Their directories.
    """
    try:
        others = [load(path.parent.name, directory) for path in directory.glob("*/release.json")]
    except ReleaseError:
        return []
    used: set[str] = set()
    for other in others:
        if other.name != settings.name and StateFile(other).read() is not None:
            return []
        releases = Releases(other)
        manifests = [releases.manifest(release) or {} for release in releases.all()]
        used |= {str(manifest.get("python", {}).get("executable")) for manifest in manifests}
        used |= {str(master(other.run_directory).get("executable")), os.path.realpath(other.python or "/")}
    if settings.name not in {other.name for other in others}:
        return []
    removed = []
    for path in settings.python_directory.glob("*-*"):
        if path.is_symlink() or not path.is_dir() or time.time() - path.stat().st_mtime < _YOUNG_SECONDS:
            continue
        if not any(executable.startswith(f"{os.path.realpath(path)}/") for executable in used):
            remove_tree(path)
            removed.append(path)
    for link in settings.python_directory.glob("*-*"):
        if link.is_symlink() and not link.exists():
            link.unlink()
    return removed


def _find(application: Application, request: str, preference: str) -> str | None:
    """Path of the first interpreter that fits a request, or None."""
    done = _uv(application, "find", *_find_options(preference), "--", request)
    found = done.stdout.strip()
    return found if done.returncode == 0 and Path(found).is_file() else None


def _fits(application: Application, interpreter: str, requires: str) -> bool:
    """Whether an interpreter satisfies `requires-python`: uv judges, and sees no other."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "python3").symlink_to(interpreter)
        done = _uv(
            application, "find", *_find_options("only-system"), "--no-cache", "--", requires, path=directory
        )
    return done.returncode == 0


def _find_options(preference: str) -> list[str]:
    return ["--python-preference", preference, "--system", "--no-project", "--no-python-downloads"]


def _install(application: Application, request: str) -> Completed:
    mirror = application.configuration.python_mirror
    options = ["--mirror", mirror] if mirror else []
    return _uv(
        application, "install", "--no-bin", *options, "--", request, timeout_seconds=_INSTALL_TIMEOUT_SECONDS
    )


def _uv(
    application: Application,
    verb: str,
    *arguments: str,
    path: str | None = None,
    timeout_seconds: int = _FIND_TIMEOUT_SECONDS,
) -> Completed:
    """Run `uv python VERB` as root: nothing of the application's takes part in it."""
    settings = application.configuration
    environment = {
        "UV_SYSTEM_CERTS": "1",
        **settings.build_environment,
        "UV_CACHE_DIR": str(settings.python_directory / ".cache"),
        "UV_PYTHON_INSTALL_DIR": str(settings.python_directory),
        "PATH": path or SEARCH_PATH,
    }
    return run(
        [str(settings.uv), "--no-progress", "--color=never", "--no-config", "python", verb, *arguments],
        timeout_seconds=timeout_seconds,
        environment=environment,
    )


def _distribution() -> str:
    done = run([DISTRIBUTION, "--version"])
    return done.stdout.strip() or "no python3"


def _fix(requires: str) -> str:
    return (
        f"set `python` of the application to a version or path that satisfies {requires or 'it'}, "
        "or release_python_mirror to a mirror of python-build-standalone that this host can reach"
    )
