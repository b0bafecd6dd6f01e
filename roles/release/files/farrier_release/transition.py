"""Reload or overlap? A reload keeps the master, and with it everything that the master has loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farrier_gunicorn import change
from farrier_gunicorn.servers import of_release

from farrier_release.application import Application
from farrier_release.releases import Manifest
from farrier_release.server_packages import normalise
from farrier_release.storage import read_json
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
        how: `reload`, `overlap` (a restart, while another instance serves), `start`, `restart` (where only
            one copy may run, and to undo what has left the service dead), or `processes` (no service).
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
    if not application.configuration.web:
        return Transition("processes", "there is no web process")
    if not service.active or not service.main_pid:
        return Transition("start", "the service was not running", service.need_daemon_reload)
    stale = service.need_daemon_reload
    if application.configuration.handover == "stop_first":
        return Transition("restart", "only one copy of the app may run", stale)
    running = master(application.configuration.run_directory)
    if running.get("pid") != service.main_pid or not isinstance(running.get("started_at"), (int, float)):
        return Transition("overlap", "the running master does not report what it was started from", stale)
    if reason := _unit_reason(service.unit_files, running) or _server_reason(application, running, manifest):
        return Transition("overlap", reason, stale)
    python = manifest.get("python", {})
    for key in ("version", "executable"):
        was = running.get("python" if key == "version" else key)
        if was != python.get(key):
            return Transition("overlap", f"Python {was} became {python.get(key)}", stale)
    differences = _differences(running.get("packages"), manifest.get("packages", {}))
    if differences:
        return Transition("overlap", ", ".join(differences), stale)
    return Transition("reload", "same Python, same server packages, same unit", stale)


def _unit_reason(unit_files: tuple[str, ...], running: dict[str, Any]) -> str:
    """Why the unit asks for another master, or "". The kit's own has a digest; drop-ins go by time."""
    for path in map(Path, unit_files):
        unit = change.unit_of(path)
        is_newer = _modified_seconds(path) > running["started_at"]
        if unit != running.get("unit", "") if unit else is_newer:
            return f"{path.name} changed since the master was started"
    return ""


def _server_reason(application: Application, running: dict[str, Any], manifest: Manifest) -> str:
    """Why what site.yml has changed, or another server, requires another master, or ""."""
    settings = application.configuration
    named = (read_json(settings.gunicorn_settings) or {}).get("worker_class", running.get("worker_class"))
    return change.server_reason(
        library=str(running.get("library", "")),
        worker_class=str(running.get("worker_class", "")),
        wanted_library=change.library_digest(settings.library_directory / "farrier_gunicorn"),
        wanted_worker_class=of_release(str(named), manifest),
    )


def _differences(loaded: Any, installed: dict[str, str]) -> list[str]:
    """What the master has loaded in another version than the release brings."""
    if not isinstance(loaded, dict):
        return ["the running master does not report what it has loaded"]
    return [
        f"{name} {version} became {installed.get(normalise(name), 'none')}"
        for name, version in loaded.items()
        if installed.get(normalise(name)) != version
    ]


def _modified_seconds(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
