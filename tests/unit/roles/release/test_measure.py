"""Which ways of running an app are measured, how, and what is recommended."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from farrier_release import comparison, measure
from farrier_release.application import Application
from farrier_release.comparison import Candidate, Row
from farrier_release.errors import ExitCode
from farrier_release.host import Sandboxed
from farrier_release.storage import write_json

from tests.unit.roles.release.conftest import Run, make_live
from tests.unit.roles.release.machine import FakeHost, Server

LIVE = "20260101T000000Z-v1"
SETTINGS = {
    "name": "test",
    "module": "main:app",
    "current": "/srv/test/current",
    "run_directory": "/run/farrier/test",
    "environment_file": "/etc/farrier/test/environment.json",
    "worker_class": "handover",
    "workers": 2,
    "timeout_seconds": 30,
    "graceful_timeout_seconds": 30,
    "boot_timeout_seconds": 60,
    "keepalive_seconds": 75,
    "proxy_keepalive_seconds": 15,
    "threads": 1,
    "backlog": 2048,
    "max_requests": 0,
    "max_requests_jitter": 0,
    "subdir": "",
}
UVICORN = ("gunicorn-27.0.1", "uvicorn-0.54.0", "uvicorn_worker-0.4.0")


@pytest.fixture
def install(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make a release live that has some packages, on a host of two processors, with settings of its own."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    make_live(host, LIVE)

    def install(*packages: str, **settings: Any) -> None:
        venv = host.configuration.release_directory(LIVE) / ".venv/lib/python3.11/site-packages"
        for package in packages:
            (venv / f"{package}.dist-info").mkdir(parents=True)
        host.configuration.gunicorn_settings.write_text(json.dumps({**SETTINGS, **settings}))

    return install


def names(application: Application) -> list[str]:
    return [str(candidate) for candidate in measure.candidates(application, LIVE)]


def test_candidates_are_what_the_release_has(application: Application, install: Callable[..., None]) -> None:
    """The live way first; other numbers of its workers, other servers, and uvicorn without the kit."""
    install(*UVICORN, "daphne-4.2.1")
    assert names(application) == [
        "handover x 2",
        "handover x 1",
        "handover x 5",
        "handover_h11 x 2",
        "handover_asgi x 2",
        "handover_daphne x 2",
        "uvicorn alone x 2",
        "gunicorn alone x 2",
        "daphne alone x 1",
    ]


def test_candidates_of_old_packages(application: Application, install: Callable[..., None]) -> None:
    """gunicorn's own server is not there yet, and a stock worker is compared with those that hand over."""
    install("gunicorn-23.0.0", *UVICORN[1:], worker_class="stock", workers=1)
    assert names(application) == [
        "stock x 1",
        "stock x 2",
        "stock x 5",
        "handover x 1",
        "handover_h11 x 1",
        "uvicorn alone x 1",
    ]


def test_candidates_of_wsgi(application: Application, install: Callable[..., None]) -> None:
    """Threads of the kit, processes of gunicorn."""
    install("gunicorn-27.0.1", worker_class="handover_wsgi", threads=4)
    assert names(application) == [
        "handover_wsgi x 2",
        "handover_wsgi x 1",
        "handover_wsgi x 5",
        "gthread alone x 2",
    ]


def test_candidates_of_uwsgi(application: Application, install: Callable[..., None]) -> None:
    """Beside gunicorn's threads, where it is installed; by hand, it has its own master."""
    install("gunicorn-27.0.1", "pyuwsgi-2.0.30", worker_class="handover_wsgi", threads=4)
    found = measure.candidates(application, LIVE)
    assert list(map(str, found[3:])) == ["handover_uwsgi x 2", "gthread alone x 2", "uwsgi alone x 2"]
    assert found[-1].words[-2:] == ("--add-header", "Connection: close")


@pytest.fixture
def quick(host: FakeHost, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short rounds, and processor time as systemd would count it."""
    monkeypatch.setattr(measure, "LOAD_SECONDS", 0.1)
    monkeypatch.setattr(measure, "_WARM_UP_SECONDS", 0.05)
    monkeypatch.setattr(measure, "CONNECTIONS", 2)
    monkeypatch.setattr(measure, "_CONTROL_GROUPS", str(directory))
    (directory / "unit").mkdir()
    (directory / "unit/cgroup.procs").write_text(f"{os.getpid()}\n4194305\n")
    counted = iter(range(10**9, 10**12, 10**8))

    def show(unit: str, *properties: str) -> dict[str, str]:
        return {one: "/unit" if one == "ControlGroup" else str(next(counted)) for one in properties}

    monkeypatch.setattr(host, "show", show)


def serving(application: Application, status: int = 200) -> Callable[[Sandboxed], Any]:
    """What a candidate does: its workers report, and its socket answers."""

    @contextmanager
    def runs(task: Sandboxed) -> Iterator[None]:
        environment = task.environment or {}
        directory = measure._directory(application)
        (directory / "workers").mkdir(parents=True, exist_ok=True)
        for number in range(int(environment.get("FARRIER_WORKERS", "0"))):
            pid = sorted(int(path.name) for path in Path("/proc").glob("[1-9]*"))[number]
            write_json(directory / f"workers/{pid}.json", {"release": LIVE, "state": "ready", "since": 0})
        server = Server(directory / "http.sock", status=status)
        server.start()
        yield
        server.stop()

    return runs


def test_each_candidate_is_run_and_asked(
    host: FakeHost,
    application: Application,
    install: Callable[..., None],
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the app's sandbox, told that it is not the real one, and each in every round."""
    install(*UVICORN[:2])
    monkeypatch.setattr(
        measure,
        "candidates",
        lambda application, release: [
            measure._of_the_kit(application, "handover", 2),
            Candidate("uvicorn alone", 2, ("uvicorn", "main:app"), is_offered=False),
        ],
    )
    tasks: list[Sandboxed] = []
    run = serving(application)
    host.runs = lambda task: (tasks.append(task), run(task))[1]
    result = measure.measure(application, "/items", 3)
    assert len(tasks) == 2 * 3
    assert {(task.user, task.unit) for task in tasks} == {("test", "farrier-test-measure")}
    assert all((task.environment or {})["FARRIER_REHEARSAL"] == "1" for task in tasks)
    assert {(task.environment or {}).get("FARRIER_WORKER_CLASS") for task in tasks} == {"handover", None}
    assert [row["failed"] for row in result["rows"]] == [0, 0]
    assert all(len(row["requests_per_second"]) == 3 for row in result["rows"])
    assert all(row["processor_milliseconds"][0] > 0 for row in result["rows"])
    assert all(row["memory_mb"] > 10 for row in result["rows"])
    assert result["message"].startswith("Keep handover x 2: in 3 rounds")
    assert result["text"][2].startswith("uvicorn alone x 2")


def test_what_does_not_answer(
    run: Run, host: FakeHost, application: Application, install: Callable[..., None], quick: None
) -> None:
    """A path that is not there is no measure; the fix is another one."""
    install(*UVICORN)
    host.runs = serving(application, status=404)
    code, result = run("measure", "--path", "/absent")
    assert code == ExitCode.FAILED
    assert "handover x 2" in result["message"]
    assert "GET /absent answers 404" in result["message"]
    assert result["error"]["next_command"] == "ask for another path with -e path=/…"
    assert host.calls[-1] == "farrier-test-measure ends"


def test_a_candidate_that_dies_under_the_load(
    run: Run, host: FakeHost, application: Application, install: Callable[..., None], quick: None
) -> None:
    """As where the kernel kills it for its memory."""
    install(*UVICORN)
    host.runs, host.runs_out = serving(application), True
    assert "it died under the load" in run("measure", "--path", "/items")[1]["message"]


def test_what_is_refused(
    run: Run, host: FakeHost, settings: dict[str, Any], install: Callable[..., None]
) -> None:
    """Two copies of an app of which one may run; an app without requests; an app that is being deployed."""
    path = host.configuration_directory / "test/release.json"
    path.write_text(json.dumps({**settings, "handover": "stop_first"}))
    assert "Only one copy of test may run" in run("measure")[1]["message"]
    assert "is not a path" in run("measure", "--path", "/a HTTP/1.1\r\nX: y")[1]["message"]
    path.write_text(json.dumps({**settings, "web": False}))
    assert "no domains" in run("measure")[1]["message"]
    host.configuration.current.unlink()
    path.write_text(json.dumps(settings))
    code, result = run("measure")
    assert code == ExitCode.USAGE
    assert result["error"]["next_command"] == "ansible-playbook farrier.kit.deploy -e app=test"
    assert not [call for call in host.calls if "measure" in call]


def row(name: str, workers: int, *rates: float, memory_mb: float = 50, **values: Any) -> Row:
    offered = not name.endswith("alone")
    return Row(
        Candidate(name, workers, (), is_offered=offered),
        requests_per_second=list(rates),
        p99_milliseconds=list(rates),
        processor_milliseconds=list(rates),
        memory_mb=memory_mb,
        **values,
    )


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([row("handover", 5, 109, 130, 140)], "Keep handover x 2:"),
        ([row("uvicorn alone", 2, 200, 200, 200)], "Keep handover x 2:"),
        ([row("handover", 5, 200, 200, 200, failed=1)], "Keep handover x 2:"),
        ([row("handover", 5, problem="it does not start")], "Keep handover x 2:"),
        (
            [row("handover", 5, 120, 130, 140)],
            "5 answers 1.30 times as much as handover x 2 (1.20 to 1.40 in 3 rounds): set `workers: 5`.",
        ),
        (
            [row("handover", 5, 120, 120, 120), row("handover_asgi", 2, 150, 150, 150)],
            "set `worker_class: handover_asgi`.",
        ),
        ([row("handover_daphne", 2, 150, 150, 150)], "set `server: daphne`."),
        ([row("handover", 1, 94, 100, 100)], "Keep handover x 2:"),
        (
            [row("handover", 1, 96, 100, 100, memory_mb=25)],
            "takes 25 MB instead of 50: set `workers: 1`, or keep",
        ),
    ],
)
def test_recommendation(others: list[Row], said: str) -> None:
    """What is better in every round is recommended, by the lines of the inventory; else nothing changes."""
    assert said in comparison.recommendation([row("handover", 2, 100, 100, 100), *others])


def test_of_many_rounds_some_may_differ() -> None:
    """A machine does other work, too; with three rounds nothing may."""
    live = row("handover", 2, *[100] * 10)
    assert "5 answers 2.00" in comparison.recommendation([live, row("handover", 5, 50, 50, *[200] * 8)])
    assert "Keep" in comparison.recommendation([live, row("handover", 5, 50, 50, 50, *[200] * 7)])


def test_recommendation_of_another_server() -> None:
    """All lines that differ, and no other."""
    live = row("handover_hypercorn", 2, 100, 100, 100)
    best = row("handover_h11", 5, 200, 200, 200)
    said = comparison.recommendation([live, best])
    assert said.endswith("set `server: gunicorn` and `worker_class: handover_h11` and `workers: 5`.")
    assert comparison.recommendation([live, row("handover", 2, 200, 200, 200)]).endswith(
        "set `server: gunicorn`."
    )


def test_table() -> None:
    """One line for each, with the reason where there is no figure."""
    live = row("handover", 2, 1000, 1100, 1200)
    lines = comparison.table(
        [live, row("handover", 5, 900, 1100, 1200), row("stock", 2, problem="it does not start")]
    )
    assert lines[1].split() == [
        "handover",
        "x",
        "2",
        "1100",
        "1.00",
        "(1.00",
        "to",
        "1.00)",
        "1100",
        "1100.00",
        "50",
        "0",
    ]
    assert "1.00 (0.90 to 1.00)" in lines[2]
    assert lines[3].split(None, 3)[3].strip() == "it does not start"
