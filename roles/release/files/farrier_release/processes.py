"""Processes and timers of an application: what runs beside its web process.

A copy of a process is an instance `APP-NAME@RELEASE.N.service`. Those of a new release start beside those of
the old one, which are told to stop when the new release has stayed up. No instance is enabled: after a boot
`recover` starts those of the live release.
"""

from __future__ import annotations

import re
import shlex
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farrier_release.application import Application
from farrier_release.config import Configuration, Process
from farrier_release.errors import ReleaseError

# A copy that ends within this time after its start does not go live.
_STAYS_SECONDS = 3.0
_LOOK_EVERY_SECONDS = 0.25
# Of one that was started again and has run for longer, nothing is to be said any more.
_RECENTLY_SECONDS = 60
# systemd kills what does not end in time; this is for systemd itself.
_STOP_MARGIN_SECONDS = 30
# Of one that is no longer in the inventory: as long as the inventory may have said.
_STOP_MOST_SECONDS = 86_400 + _STOP_MARGIN_SECONDS
_ENDING = ("deactivating", "inactive", "failed")
_SHOWN = ("ActiveState", "SubState", "NRestarts", "Result", "ExecMainStatus", "ExecMainStartTimestamp")
_OWNER = re.compile(r"^\[X-Farrier\]\nApp=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Copy:
    """One running copy of a process.

    Args:
        unit: its unit.
        name: of the process.
        release: id of the release that it runs.
        number: tells copies of one release apart.
        state: systemd's word for it, such as active or deactivating.
    """

    unit: str
    name: str
    release: str
    number: int
    state: str

    @property
    def is_ending(self) -> bool:
        """Whether it was told to stop, or has."""
        return self.state in _ENDING


def check(application: Application, release: str) -> None:
    """Check that a release has every command of the processes and timers, and that nobody else runs them.

    Raises:
        ReleaseError: it has not, or somebody does.
    """
    check_alone(application)
    for key, name, command in _commands(application):
        if not _program(application, release, command):
            raise ReleaseError(
                f"app {application.configuration.name}, key {key}.{name}.command: "
                f"there is no command {shlex.split(command)[0]!r}, neither in {release} nor on this host.",
                next_command=f"add its package to the app's lock, or correct {key}.{name}.command",
            )


def check_alone(application: Application) -> None:
    """Check that no unit by hand runs the command of a process or timer with the app's user or environment.

    Raises:
        ReleaseError: one does.
    """
    settings = application.configuration
    of_the_app = (f"User={settings.user}\n", f"farrier run {settings.name} ", f"/srv/{settings.name}/")
    for path in sorted(settings.unit_directory.glob("*.service")):
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if "[X-Farrier]" in text or not any(sign in text for sign in of_the_app):
            continue
        started = [f" {line} " for line in re.findall(r"^ExecStart=(.*)", text, re.MULTILINE)]
        for key, name, command in _commands(application):
            if any(re.search(rf"[\s/]{re.escape(command)}\s", line) for line in started):
                raise ReleaseError(
                    f"app {settings.name}, key {key}.{name}: {path.name}, which is not the kit's, runs "
                    f"{command!r} already.",
                    next_command=f"systemctl disable --now {path.name}, remove its file, and run "
                    "ansible-playbook farrier.kit.site",
                )


def start(application: Application, release: str) -> None:
    """Start the copies of a release beside those of other releases, and see them stay up.

    Those of which only one may run replace each other.

    Raises:
        ReleaseError: one does not stay up.
    """
    if not application.configuration.processes:
        return
    started = time.time()
    if units := _start(application, release):
        _stay_up(application, release, units, since_seconds=started)


def _stay_up(application: Application, release: str, units: Sequence[str], *, since_seconds: float) -> None:
    """See that units of a release, started since a time (seconds since 1970), stay up.

    Raises:
        ReleaseError: one does not.
    """
    until = time.monotonic() + _STAYS_SECONDS
    while True:
        if found := failure(application, release, units, since_seconds=since_seconds):
            raise found
        if time.monotonic() >= until:
            break
        time.sleep(_LOOK_EVERY_SECONDS)


def settle(application: Application, *, renew: bool = False, check_only: bool = False) -> list[str]:
    """Have the copies of the live release run, those alone, and its timers; returns what was done.

    Where nothing is live, nothing runs.

    Args:
        application: whose processes.
        renew: replace copies that were started before their unit or the environment changed, and see that
            what is started stays up. One whose new command its release lacks goes on as it is: the next
            release may have it.
        check_only: only say what would be done.

    Raises:
        ReleaseError: what was started, with `renew`, does not stay up.
    """
    settings, host = application.configuration, application.host
    began_at = time.time()
    units: list[str] = []
    live = application.releases.live()
    leaving: list[str] = []
    for name, process in settings.processes.items():
        units = _surplus(application, name, process, live, renew=renew)
        leaving += units
        if not check_only:
            _stop(application, process, units)
    done = [f"stop {unit}" for unit in leaving]
    if live:
        units = _start(application, live, leaving, check_only=check_only)
        done += [f"start {unit}" for unit in units]
    for name, one in settings.timers.items():
        timer = f"{settings.name}-{name}.timer"
        verb = "start" if live and _program(application, live, one.command) else "stop"
        if (host.show(timer, "ActiveState").get("ActiveState") == "active") == (verb == "start"):
            continue
        done.append(f"{verb} {timer}")
        if not check_only:
            host.systemctl(verb, timer)
    if renew and live and units and not check_only:
        _stay_up(application, live, units, since_seconds=began_at)
    return done


def remove(application: Application, *, check_only: bool = False) -> list[str]:
    """Stop what is no longer in the inventory and remove its units; returns what was done.

    Also the web process of an app that has no domains any more.
    """
    settings, host = application.configuration, application.host
    wanted = {f"{settings.name}-{name}@.service" for name in settings.processes}
    wanted |= {f"{settings.name}-{name}.{kind}" for name in settings.timers for kind in ("service", "timer")}
    paths = [
        path
        for path in sorted(settings.unit_directory.glob(f"{settings.name}-*"), reverse=True)
        if path.name not in wanted and _owner(path) == settings.name
    ]
    if not settings.web:
        web = (
            settings.socket_unit,
            settings.service,
            settings.rehearsal_unit_of(""),
            settings.stand_in_unit_of(""),
        )
        paths += [path for unit in web if (path := settings.unit_directory / unit).exists()]
    if not check_only:
        for path in paths:
            # A run of a timer that is under way comes to its end.
            if path.suffix != ".service" or "@" in path.name or path.name == settings.service:
                host.systemctl("stop", path.name.replace("@.", "@*."), timeout_seconds=_STOP_MOST_SECONDS)
            for link in settings.unit_directory.glob(f"*.wants/{path.name}"):
                link.unlink()
            path.unlink()
        if paths:
            host.systemctl("daemon-reload")
    return [f"remove {path.name}" for path in paths]


def hand_over_seconds(settings: Configuration) -> int:
    """How long `start` may take."""
    once = [one for one in settings.processes.values() if one.once]
    limits = (one.stop_timeout_seconds + _STOP_MARGIN_SECONDS for one in once)
    return sum(limits) + 60 * bool(settings.processes)


def fault(application: Application, release: str) -> str:
    """Why the processes of a release are not good, or "". One that somebody has stopped is no fault."""
    copy = _faulty(application, release)
    return f"process {copy.name} does not stay up" if copy else ""


def failure(
    application: Application, release: str, units: Sequence[str] | None = None, *, since_seconds: float
) -> ReleaseError | None:
    """What `fault` finds, among some units alone if they are given, with what the process has said.

    Args:
        application: whose processes.
        release: id of the release.
        units: that count; None for all.
        since_seconds: since when, in seconds since 1970.
    """
    copy = _faulty(application, release, units)
    if copy is None:
        return None
    shown = application.host.show(copy.unit, *_SHOWN)
    how = f"exit code {shown.get('ExecMainStatus')}"
    if shown.get("Result") not in ("success", "exit-code"):
        how = shown.get("Result", "")
    if shown.get("SubState") == "running":
        how = "systemd restarted it"
    lines = application.host.journal(copy.unit, since_seconds=since_seconds)
    # Without what systemd says of the unit.
    said = [line for line in lines if copy.unit not in line]
    cause = said[-1].strip() if said else how
    return ReleaseError(
        f"process {copy.name} does not stay up: {cause} ({copy.unit}, {how}).",
        log=said,
        next_command=f"correct the release or processes.{copy.name}.command, and deploy again",
    )


def status(application: Application) -> list[dict[str, Any]]:
    """Each copy that runs and each timer, as plain data."""
    settings, host = application.configuration, application.host
    found: list[dict[str, Any]] = []
    for name in settings.processes:
        for copy in _copies(application, name):
            shown = host.show(copy.unit, *_SHOWN)
            found.append(
                {
                    "process": name,
                    "unit": copy.unit,
                    "release": copy.release,
                    "state": copy.state,
                    "restarts": int(shown.get("NRestarts") or 0),
                    "since": _seconds(shown.get("ExecMainStartTimestamp", "")),
                }
            )
    for name in settings.timers:
        unit = f"{settings.name}-{name}"
        timer = host.show(f"{unit}.timer", "ActiveState", "NextElapseUSecRealtime", "LastTriggerUSec")
        found.append(
            {
                "timer": name,
                "unit": f"{unit}.timer",
                "state": timer.get("ActiveState", ""),
                "next": timer.get("NextElapseUSecRealtime", ""),
                "last": timer.get("LastTriggerUSec", ""),
                "last_result": host.show(f"{unit}.service", "Result").get("Result", ""),
            }
        )
    return found


def problem(application: Application, live: str) -> str:
    """What of the processes does not run as it should, or ""."""
    for name, process in application.configuration.processes.items():
        if not _program(application, live, process.command):
            return f"process {name} does not run: {live} has no command {shlex.split(process.command)[0]!r}"
        running = [
            copy for copy in _copies(application, name) if copy.release == live and copy.state == "active"
        ]
        if len(running) < process.count:
            return f"{len(running)} of {process.count} copies of process {name} run"
        for copy in running:
            shown = application.host.show(copy.unit, *_SHOWN)
            began = _seconds(shown.get("ExecMainStartTimestamp", "")) or 0
            if shown.get("NRestarts", "0") != "0" and time.time() - began < _RECENTLY_SECONDS:
                return f"process {name} does not stay up: restarted {shown['NRestarts']} time(s)"
    return ""


def _commands(application: Application) -> Iterator[tuple[str, str, str]]:
    for name, process in application.configuration.processes.items():
        yield "processes", name, process.command
    for name, timer in application.configuration.timers.items():
        yield "timers", name, timer.command


def _program(application: Application, release: str, command: str) -> str | None:
    """Path of the program that a command would run in a release, or None."""
    settings = application.configuration
    directory = settings.release_directory(release)
    project = directory / "source" / settings.subdir
    program = shlex.split(command)[0]
    if "/" in program:
        return shutil.which(project / program)
    return shutil.which(program, path=f"{directory / '.venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin")


def _copies(application: Application, name: str) -> list[Copy]:
    """The copies of a process, of whatever release, by release and number."""
    prefix = f"{application.configuration.name}-{name}@"
    listed = application.host.systemctl(
        "list-units", "--all", "--full", "--plain", "--no-legend", f"{prefix}*.service"
    )
    found = []
    for line in listed.stdout.splitlines():
        unit, _, state, *_ = line.split()
        release, _, number = unit.removeprefix(prefix).removesuffix(".service").rpartition(".")
        if number.isdigit():
            found.append(Copy(unit, name, release, int(number), state))
    return sorted(found, key=lambda copy: (copy.release, copy.number))


def _faulty(application: Application, release: str, units: Sequence[str] | None = None) -> Copy | None:
    for name in application.configuration.processes:
        for copy in _copies(application, name):
            if copy.release != release or (units is not None and copy.unit not in units):
                continue
            shown = application.host.show(copy.unit, *_SHOWN)
            died = shown.get("SubState") == "auto-restart" or shown.get("NRestarts", "0") != "0"
            if died or shown.get("ActiveState") == "failed":
                return copy
    return None


def _start(
    application: Application, release: str, leaving: list[str] | None = None, *, check_only: bool = False
) -> list[str]:
    """Start the copies of a release that do not run; returns their units.

    Args:
        application: whose processes.
        release: id of the release.
        leaving: units that were told to stop, whatever systemd says of them by now.
        check_only: start none.
    """
    units = []
    for name, process in application.configuration.processes.items():
        if not _program(application, release, process.command):
            application.say(f"process {name}: {release} has no such command, so it does not run")
            continue
        copies = _copies(application, name)
        own = [copy for copy in copies if copy.release == release]
        if process.once and not check_only:
            _stop(application, process, [copy.unit for copy in copies if copy.release != release])
        missing = process.count - sum(not copy.is_ending and copy.unit not in (leaving or ()) for copy in own)
        # One that is ending keeps its number until it has ended.
        free = (number for number in range(1, 1000) if number not in {copy.number for copy in own})
        prefix = f"{application.configuration.name}-{name}@{release}"
        units += [f"{prefix}.{next(free)}.service" for _ in range(missing)]
    if units and not check_only:
        application.say(f"starting {', '.join(units)}")
        application.host.systemctl("start", *units)
    return units


def _surplus(
    application: Application, name: str, process: Process, live: str | None, *, renew: bool
) -> list[str]:
    """The units of the copies that are not of the live release, outdated, or too many."""
    running = [copy for copy in _copies(application, name) if not copy.is_ending]
    others = [copy for copy in running if copy.release != live]
    own = [copy for copy in running if copy.release == live]
    if renew and live and _program(application, live, process.command):
        outdated = [copy for copy in own if _is_outdated(application, copy)]
        others += outdated
        own = [copy for copy in own if copy not in outdated]
    return [copy.unit for copy in [*others, *own[process.count :]]]


def _is_outdated(application: Application, copy: Copy) -> bool:
    """Whether its unit or the environment has changed since it was started."""
    settings = application.configuration
    unit = settings.unit_directory / f"{settings.name}-{copy.name}@.service"
    environment = settings.gunicorn_settings.with_name("environment.json")
    shown = application.host.show(copy.unit, "ExecMainStartTimestamp")
    began = _seconds(shown.get("ExecMainStartTimestamp", ""))
    return began is not None and began <= max(map(_modified_seconds, (environment, unit)))


def _stop(application: Application, process: Process, units: list[str]) -> None:
    """Tell copies to stop, and wait where the next one may not start before."""
    if units:
        application.say(f"telling {', '.join(units)} to stop")
        no_block = () if process.once else ("--no-block",)
        timeout_seconds = process.stop_timeout_seconds + _STOP_MARGIN_SECONDS
        application.host.systemctl("stop", *no_block, *units, timeout_seconds=timeout_seconds)


def _owner(path: Path) -> str:
    """The app whose unit this is, or ""."""
    found = _OWNER.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found[1] if found else ""


def _modified_seconds(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _seconds(stamp: str) -> int | None:
    return int(stamp[1:]) if stamp.startswith("@") and stamp[1:].isdigit() else None
