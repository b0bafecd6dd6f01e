"""Reload or restart? A reload keeps the master, and with it everything that the master has loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farrier_release.application import Application
from farrier_release.releases import Manifest
from farrier_release.server_packages import normalise
from farrier_release.workers import master

_PROPERTIES = ("ActiveState", "MainPID", "NRestarts", "NeedDaemonReload", "FragmentPath", "DropInPaths")


@dataclass(frozen=True)
class Service:
    """The service as systemd sees it.

    Args:
        state: systemd's word for it, such as active or failed.
        main_pid: of its master, 0 for none.
        restarts: how often systemd has started it again by itself.
        need_daemon_reload: whether its unit file was changed after systemd read it.
        unit_files: paths of the unit file and its drop-ins.
    """

    state: str
    main_pid: int
    restarts: int
    need_daemon_reload: bool
    unit_files: tuple[str, ...]

    @property
    def active(self) -> bool:
        """Whether it runs, or is on the way to it."""
        return self.state in ("active", "reloading", "activating")


@dataclass(frozen=True)
class Transition:
    """How the service gets to another release.

    Args:
        how: `reload`, `restart` or `start`.
        why: for people.
        daemon_reload: whether systemd has to read its units first.
    """

    how: str
    why: str
    daemon_reload: bool = False


def look_at(application: Application) -> Service:
    """The service as it is now."""
    state = application.host.show(application.configuration.service, *_PROPERTIES)
    return Service(
        state=state.get("ActiveState", ""),
        main_pid=int(state.get("MainPID") or 0),
        restarts=int(state.get("NRestarts") or 0),
        need_daemon_reload=state.get("NeedDaemonReload") == "yes",
        unit_files=tuple(
            filter(None, [state.get("FragmentPath", ""), *state.get("DropInPaths", "").split()])
        ),
    )


def choose(application: Application, service: Service, manifest: Manifest) -> Transition:
    """Choose how to get to the release that `manifest` describes."""
    if not service.active or not service.main_pid:
        return Transition("start", "the service was not running", service.need_daemon_reload)
    if service.need_daemon_reload:
        return Transition("restart", "its unit file changed", daemon_reload=True)
    running = master(application.configuration.run_directory)
    if running.get("pid") != service.main_pid or not isinstance(running.get("started_at"), (int, float)):
        return Transition("restart", "the running master does not say what it is made of")
    changed = [path for path in service.unit_files if _modified_seconds(path) > running["started_at"]]
    if changed:
        return Transition("restart", f"{Path(changed[0]).name} changed since the master was started")
    python = manifest.get("python", {})
    for key in ("version", "executable"):
        was = running.get("python" if key == "version" else key)
        if was != python.get(key):
            return Transition("restart", f"Python {was} became {python.get(key)}")
    differences = _differences(running.get("packages"), manifest.get("packages", {}))
    if differences:
        return Transition("restart", ", ".join(differences))
    return Transition("reload", "same Python, same server packages, same unit")


def _differences(loaded: Any, installed: dict[str, str]) -> list[str]:
    """What the master has loaded in another version than the release brings."""
    if not isinstance(loaded, dict):
        return ["the running master does not say what it has loaded"]
    return [
        f"{name} {version} became {installed.get(normalise(name), 'none')}"
        for name, version in loaded.items()
        if installed.get(normalise(name)) != version
    ]


def _modified_seconds(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0
