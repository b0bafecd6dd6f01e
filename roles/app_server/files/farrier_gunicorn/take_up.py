"""`python3 -m farrier_gunicorn.take_up APP…`: reload services for what has changed on disk.

Run as root. Where a reload is not enough, it says that a restart is due, which `farrier-release restart` does
without a pause. It never restarts a socket: requests wait there. Prints an `Outcome` as JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from farrier_gunicorn import status
from farrier_gunicorn.change import Change, choose, on_disk
from farrier_gunicorn.configuration import ConfigurationError

UNITS = Path("/etc/systemd/system")
SETTINGS = Path("/etc/farrier")
RUN = Path("/run/farrier")

_JOURNAL_LINES = 12


@dataclass(frozen=True)
class Service:
    """An app's service as systemd sees it."""

    state: str
    main_pid: int


class Machine:
    """The host. Tests put another one in its place."""

    def systemctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run systemctl to its end."""
        return subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)

    def service(self, app: str) -> Service:
        """Look at a service. Raises OSError when systemd does not answer."""
        shown = self.systemctl("show", "--property=ActiveState,MainPID", f"{app}.service")
        if shown.returncode != 0:
            raise OSError(f"systemctl show {app}.service: {shown.stderr.strip()}")
        values = dict(line.partition("=")[::2] for line in shown.stdout.splitlines())
        return Service(values.get("ActiveState", ""), int(values.get("MainPID") or 0))

    def needs_daemon_reload(self, apps: list[str]) -> bool:
        """Tell whether a unit file of the apps differs from what systemd has read."""
        units = [f"{app}{suffix}" for app in apps for suffix in (".service", ".socket")]
        return (
            "yes" in self.systemctl("show", "--property=NeedDaemonReload", "--value", *units).stdout.split()
        )

    def log(self, app: str, since: float) -> list[str]:
        """Return the last lines of a service since a time (seconds since 1970), but no requests."""
        command = ["journalctl", "--sync", f"--unit={app}.service", f"--since=@{since:.3f}"]
        subprocess.run(command[:2], capture_output=True, check=False)
        wanted = [command[0], *command[2:], "--quiet", "--no-pager", "--output=cat", "--lines=200"]
        lines = subprocess.run(wanted, capture_output=True, text=True, check=False).stdout.splitlines()
        return [line for line in lines if line.strip() and not line.startswith('{"time": ')][-_JOURNAL_LINES:]


def look(machine: Machine, app: str) -> Change:
    """Compare what runs with what is on disk. Raises OSError or ConfigurationError."""
    service = machine.service(app)
    disk = on_disk(
        UNITS / f"{app}.service",
        UNITS / f"{app}.socket",
        SETTINGS / app / "gunicorn.json",
        Path(__file__).parent,
    )
    return choose(service.state, service.main_pid, status.read_master(RUN / app), disk)


@dataclass
class Outcome:
    """What has become of the apps of a host, each with its reason."""

    done: dict[str, str] = field(default_factory=dict)
    """Reloaded."""
    restart: dict[str, str] = field(default_factory=dict)
    """To be restarted."""
    sockets: dict[str, str] = field(default_factory=dict)
    """Whose socket unit an operator has to restart."""
    errors: dict[str, str] = field(default_factory=dict)


def take_up(machine: Machine, apps: list[str]) -> Outcome:
    """Reload every app that needs it; a failure of one does not stop the others."""
    outcome = Outcome()
    if apps and machine.needs_daemon_reload(apps):
        machine.systemctl("daemon-reload")
    for app in apps:
        try:
            change = look(machine, app)
        except (OSError, ConfigurationError) as error:
            outcome.errors[app] = str(error)
            continue
        if change.socket:
            outcome.sockets[app] = change.socket
        problem = _reload(machine, app, change) if change.how == "reload" else ""
        if problem and (reason := _refusal(app)):
            change, problem = Change("restart", reason), ""
        if problem:
            outcome.errors[app] = problem
        elif change.how == "restart":
            outcome.restart[app] = change.why
        elif change.how != "nothing":
            outcome.done[app] = f"{change.how}: {change.why}"
    return outcome


def _refusal(app: str) -> str:
    """Why the master has refused a reload, where a restart is the cure."""
    running = status.read_master(RUN / app)
    return running.settings_error or "" if running and running.needs_restart is True else ""


def _reload(machine: Machine, app: str, change: Change) -> str:
    """Return why it failed, or ""."""
    since = time.time()
    done = machine.systemctl("reload", f"{app}.service")
    if done.returncode == 0:
        return ""
    lines = machine.log(app, since) or [done.stderr.strip()]
    return f"systemctl reload {app}.service failed ({change.why}):\n" + "\n".join(lines)


def main(arguments: list[str] | None = None, machine: Machine | None = None) -> int:
    """Exit code 1 if a reload failed, with the reasons on standard error."""
    parser = argparse.ArgumentParser(prog="farrier_gunicorn.take_up", description=__doc__)
    parser.add_argument("apps", nargs="*", metavar="APP")
    options = parser.parse_args(arguments)
    outcome = take_up(machine or Machine(), options.apps)
    print(json.dumps(asdict(outcome)))
    for app, problem in outcome.errors.items():
        print(f"{app}: {problem}", file=sys.stderr)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    sys.exit(main())
