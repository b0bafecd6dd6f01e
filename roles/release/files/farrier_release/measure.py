"""measure: which server, and how many workers, answer an app's requests best on this host."""

from __future__ import annotations

import os
import re
import shlex
import statistics
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from farrier_gunicorn.configuration import read_settings
from farrier_gunicorn.servers import SERVERS, WORKER_CLASSES, of_release

from farrier_release.application import Application
from farrier_release.comparison import Candidate, Row, recommendation, table
from farrier_release.errors import ReleaseError, UsageError
from farrier_release.host import Running
from farrier_release.load import Load, load
from farrier_release.probe import Answer, ask, get, headers
from farrier_release.server_packages import installed_packages, unsupported
from farrier_release.workers import boot_failure, workers

LOAD_SECONDS = 3.0
CONNECTIONS = 32
_WARM_UP_SECONDS = 1.0
_PROBE_TIMEOUT_SECONDS = 5.0
_POLL_SECONDS = 0.05
_PATH = re.compile(r"/[!-~]*")
# Of what the host has left: the live app shall not suffer.
_MEMORY_SHARE = 0.8
# What starts each server without the kit, with a log of its requests.
_ALONE = {
    "uvicorn": "uvicorn {module} --uds {socket} --workers {workers}",
    "gunicorn": "gunicorn {module} --bind unix:{socket} --workers {workers} --worker-class asgi "
    "--access-logfile -",
    "gthread": "gunicorn {module} --bind unix:{socket} --workers {workers} --threads {threads} "
    "--access-logfile -",
    "uwsgi": "uwsgi --http-socket {socket} --master --processes {workers} --threads {threads} "
    "--module {module} --add-header 'Connection: close'",
    "hypercorn": "hypercorn {module} --bind unix:{socket} --workers {workers} --worker-class uvloop "
    "--access-logfile -",
    "daphne": "daphne --unix-socket {socket} --access-log - {module}",
}
_CONTROL_GROUPS = "/sys/fs/cgroup"
_LOAD_LIMIT_SECONDS = 120


def measure(application: Application, path: str, rounds: int) -> dict[str, Any]:
    """Load candidates beside the live app, one at a time, in rounds, and say which of them is best.

    Each runs with the app's user, environment and sandbox on a socket of its own, and is told by
    FARRIER_REHEARSAL that it is not the real one. It works on the live data: only GET is sent.

    Args:
        application: the app.
        path: what to ask for.
        rounds: how often each is measured.

    Raises:
        UsageError: the app cannot be measured.
        ReleaseError: the live way of running it does not start or does not answer.
    """
    if not _PATH.fullmatch(path):
        raise UsageError(f"{path!r} is not a path: it begins with / and has no spaces.")
    release = _release(application)
    found = candidates(application, release)
    rows = [Row(candidate) for candidate in found]
    for turn in range(rounds):
        application.say(f"round {turn + 1} of {rounds}")
        first = turn % len(rows)
        for row in rows[first:] + rows[:first]:
            if not row.problem:
                _measure_once(application, release, path, row)
            if rows[0].problem:
                raise ReleaseError(
                    f"{found[0]}, which serves {application.configuration.name} now, cannot be measured: "
                    f"{rows[0].problem}.",
                    next_command="ask for another path with -e path=/…",
                )
    advice = recommendation(rows)
    return {
        "changed": False,
        "message": advice,
        "text": [*table(rows), advice],
        "rows": [vars(row) | {"candidate": str(row.candidate)} for row in rows],
    }


def _release(application: Application) -> str:
    settings = application.configuration
    release = application.live_release()
    if not settings.web:
        raise UsageError(f"{settings.name} has no domains, so there are no requests to measure.")
    if settings.handover == "stop_first":
        raise UsageError(f"Only one copy of {settings.name} may run (`handover: stop_first`).")
    if application.state.read() is not None:
        raise UsageError(f"A deploy of {settings.name} is under way.", next_command="wait for its end")
    return release


def candidates(application: Application, release: str) -> list[Candidate]:
    """What is live now comes first; then other numbers of workers, other servers, each server by itself."""
    settings = application.configuration
    values = read_settings(settings.gunicorn_settings)
    live = of_release(values["worker_class"], application.releases.manifest(release) or {})
    wanted, processors = values["workers"], len(os.sched_getaffinity(0))
    numbers = dict.fromkeys([wanted, 1, processors, 2 * processors + 1])
    packages = installed_packages(settings.release_directory(release) / ".venv")
    interface = SERVERS[WORKER_CLASSES[live].server].interface
    others = [
        name
        for name, one in WORKER_CLASSES.items()
        if name != live and one.hands_over and SERVERS[one.server].interface == interface
        if not unsupported(packages, SERVERS[one.server].supported)
    ]
    pairs = [(live, number) for number in numbers] + [(name, wanted) for name in others]
    servers = dict.fromkeys(WORKER_CLASSES[name].server for name in (live, *others))
    return [
        *(_of_the_kit(application, name, number) for name, number in pairs),
        *(_alone(application, server, values) for server in servers),
    ]


def _of_the_kit(application: Application, worker_class: str, number: int) -> Candidate:
    settings = application.configuration
    program = settings.library_directory / "farrier_gunicorn" / "settings.py"
    return Candidate(
        worker_class,
        number,
        ("python", "-m", "gunicorn", "--config", str(program)),
        (
            ("FARRIER_SETTINGS", str(settings.gunicorn_settings)),
            ("FARRIER_BIND", f"unix:{_socket(application)}"),
            ("FARRIER_RUN_DIRECTORY", str(_directory(application))),
            ("FARRIER_WORKER_CLASS", worker_class),
            ("FARRIER_WORKERS", str(number)),
        ),
    )


def _alone(application: Application, server: str, values: Mapping[str, Any]) -> Candidate:
    line = _ALONE[server].format(socket=_socket(application), **values)
    number = values["workers"] if "{workers}" in _ALONE[server] else 1
    return Candidate(f"{server} alone", number, tuple(shlex.split(line)), is_offered=False)


def _directory(application: Application) -> Path:
    run_directory = application.configuration.run_directory
    return run_directory.with_name(f"{run_directory.name}-measure")


def _socket(application: Application) -> Path:
    return _directory(application) / "http.sock"


def _measure_once(application: Application, release: str, path: str, row: Row) -> None:
    settings = application.configuration
    request = get(path, headers(settings.health_host, tls=settings.tls))
    with _running(application, release, row.candidate) as running:
        answer = _wait_until_it_serves(application, release, path, row.candidate, running)
        row.problem = answer.error or (
            f"GET {path} answers {answer.status}" if answer.status not in range(200, 400) else ""
        )
        if row.problem:
            return

        def ask_for(seconds: float) -> Load:
            return load(
                _socket(application), request, answer.status, connections=CONNECTIONS, seconds=seconds
            )

        ask_for(_WARM_UP_SECONDS)
        before = application.host.show(running.unit, "CPUUsageNSec")
        seen = ask_for(LOAD_SECONDS)
        if running.has_ended():
            row.problem = "it died under the load"
            return
        after = application.host.show(running.unit, "CPUUsageNSec", "ControlGroup")
        memory_mb = _memory_mb(after["ControlGroup"])
    row.failed += seen.failed
    if len(seen.answers) < CONNECTIONS:
        row.problem = f"GET {path} was answered {len(seen.answers)} times in {seen.seconds:.0f} s"
        return
    used = int(after["CPUUsageNSec"]) - int(before["CPUUsageNSec"])
    row.requests_per_second.append(len(seen.answers) / seen.seconds)
    row.p99_milliseconds.append(1000 * statistics.quantiles(seen.answers, n=100)[98])
    row.processor_milliseconds.append(used / 1e6 / len(seen.answers))
    row.memory_mb = max(row.memory_mb, memory_mb)


def _running(application: Application, release: str, candidate: Candidate) -> AbstractContextManager[Running]:
    """Run a candidate, and end it. Its lines go nowhere: a load would fill the journal."""
    directory = _directory(application)
    # Should this process be killed, systemd ends the candidate.
    limit_seconds = application.configuration.rehearsal_timeout_seconds + _LOAD_LIMIT_SECONDS
    task = application.sandboxed("measure", list(candidate.words), release, limit_seconds)
    task = replace(
        task,
        properties=[
            *task.properties,
            f"RuntimeDirectory={os.path.relpath(directory, '/run')}",
            "RuntimeDirectoryMode=0750",
            "TimeoutStopSec=5",
            "SystemCallFilter=@chown",  # gunicorn makes its socket itself
            f"MemoryMax={int(_available_memory_bytes() * _MEMORY_SHARE)}",
        ],
        environment={**(task.environment or {}), **dict(candidate.environment), "FARRIER_REHEARSAL": "1"},
    )
    return application.host.running_sandboxed(task)


def _memory_mb(control_group: str) -> float:
    """Memory of all processes of a unit; of what several share, each has its part."""
    total_kb = 0
    for pid in Path(f"{_CONTROL_GROUPS}{control_group}/cgroup.procs").read_text(encoding="utf-8").split():
        with suppress(OSError):  # it has gone
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
            total_kb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kb / 1024


def _available_memory_bytes() -> int:
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def _wait_until_it_serves(
    application: Application, release: str, path: str, candidate: Candidate, running: Running
) -> Answer:
    """Wait until all workers of a candidate serve; the answer has an error where they do not come to it."""
    settings = application.configuration
    started = time.time()
    until = time.monotonic() + settings.rehearsal_timeout_seconds
    while True:
        if candidate.reports_its_workers:
            ready = [one for one in workers(_directory(application)) if one.state == "ready"]
            is_complete = len(ready) >= candidate.workers
        else:
            is_complete = True  # its workers come one after the other, and are there after the warm-up
        answer = ask(
            str(_socket(application)),
            path,
            settings.health_host,
            timeout_seconds=_PROBE_TIMEOUT_SECONDS,
            tls=settings.tls,
        )
        if is_complete and answer.status:
            return answer
        failure = boot_failure(_directory(application), since_seconds=started, release=release)
        if failure:
            return Answer(0, error=f"it does not start: {failure.error}")
        if running.has_ended():
            return Answer(0, error="it does not start")
        if time.monotonic() > until:
            return Answer(0, error=f"it does not serve within {settings.rehearsal_timeout_seconds} s")
        time.sleep(_POLL_SECONDS)
