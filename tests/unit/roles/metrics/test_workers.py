"""Workers are told by what they say, as far as the kernel agrees, and whatever their user has written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from farrier_metrics import workers
from farrier_metrics.settings import App, Settings

from tests.unit.roles.metrics.values import values

SHOP = App("shop")
CGROUP = "/system.slice/shop.service"


@pytest.fixture
def run(settings: Settings) -> Path:
    """Run directory of an app with two workers of generation 2, and one that drains."""
    run = settings.run / "shop"
    (run / "workers").mkdir(parents=True)
    (run / "master.json").write_text(json.dumps({"workers": 2, "generation": 2, "deaths": 1}))
    procs = settings.cgroups / CGROUP.lstrip("/") / "cgroup.procs"
    procs.parent.mkdir(parents=True)
    procs.write_text("7\n8\n9\n10\n")
    for pid, generation, state, lag in (
        (9, 2, "ready", 0.25),
        (10, 2, "ready", 0.003),
        (8, 1, "draining", 1.0),
    ):
        write(run, pid, generation=generation, state=state, loop_lag_seconds=lag)
        (settings.processes / str(pid)).mkdir(parents=True)
        (settings.processes / str(pid) / "statm").write_text(f"{pid * 2} {pid} 1 1 0 1 0\n")
    return run


def write(run: Path, pid: int, **status: Any) -> None:
    """Write the status of a worker."""
    (run / "workers" / f"{pid}.json").write_text(json.dumps(status))


def found(settings: Settings) -> dict[str, float]:
    """Return what is told of the app."""
    return values(workers.samples(SHOP, CGROUP, settings))


def test_workers_of_the_serving_generation_are_numbered(settings: Settings, run: Path) -> None:
    """By their pids, so that a release has no series of its own."""
    page = os.sysconf("SC_PAGE_SIZE")
    assert found(settings) == {
        "workers{shop,ready}": 2,
        "workers{shop,booting}": 0,
        "workers{shop,draining}": 1,
        "workers_wanted{shop}": 2,
        "worker_deaths_total{shop}": 1,
        "worker_memory_bytes{shop,0}": 9 * page,
        "worker_loop_lag_seconds{shop,0}": 0.25,
        "worker_memory_bytes{shop,1}": 10 * page,
        "worker_loop_lag_seconds{shop,1}": 0.003,
    }


def test_process_of_somebody_else_is_no_worker(settings: Settings, run: Path) -> None:
    """The files are the app's user's."""
    write(run, 11, generation=2, state="ready")
    assert found(settings)["workers{shop,ready}"] == 2


def test_worker_of_wsgi_has_no_event_loop(settings: Settings, run: Path) -> None:
    """No value is better than a made-up one."""
    write(run, 9, generation=2, state="ready", loop_lag_seconds=None)
    assert "worker_loop_lag_seconds{shop,0}" not in found(settings)


def test_worker_that_is_silent_is_blocked_by_now() -> None:
    """It would have written its status every ten seconds."""
    ready = {"state": "ready", "loop_lag_seconds": 0.5}
    assert workers.loop_lag(ready, 100.0, 110.9) == 0.5
    assert workers.loop_lag(ready, 100.0, 125.0) == 15
    assert workers.loop_lag({**ready, "state": "draining"}, 100.0, 125.0) == 0.5


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\0",
        b"[]",
        b"[" * 100_000,
        b"1" * 300_000,
        b'{"state": ["ready"], "generation": {}, "loop_lag_seconds": "x"}',
        b'{"state": {}, "loop_lag_seconds": NaN}',
        b'{"generation": 2, "state": "ready\\ud800", "loop_lag_seconds": -1}',
        b'{"generation": 2, "state": "x", "loop_lag_seconds": 1e999}',
    ],
)
def test_odd_status_harms_nobody(settings: Settings, run: Path, content: bytes) -> None:
    """Neither a worker's nor the master's."""
    (run / "workers" / "7.json").write_bytes(content)
    (run / "workers" / "1e9.json").write_bytes(content)
    assert found(settings)["workers{shop,ready}"] == 2
    (run / "master.json").write_bytes(content)
    assert found(settings)["workers{shop,ready}"] == 2


def test_nothing_is_followed_out_of_the_run_directory(settings: Settings, run: Path, tmp_path: Path) -> None:
    """The reader may read every file of the host."""
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"workers": 77, "state": "ready", "generation": 2}))
    (run / "master.json").unlink()
    (run / "master.json").symlink_to(secret)
    (run / "workers" / "7.json").symlink_to(secret)
    assert found(settings).get("workers_wanted{shop}") is None
    assert found(settings)["workers{shop,ready}"] == 2
    (run / "workers").rename(tmp_path / "elsewhere")
    (run / "workers").symlink_to(tmp_path / "elsewhere")
    assert found(settings) == {}


def test_pipe_is_not_waited_for(settings: Settings, run: Path) -> None:
    """It would hold up everything."""
    os.mkfifo(run / "workers" / "7.json")
    assert found(settings)["workers{shop,ready}"] == 2


def test_app_that_does_not_run_has_no_workers(settings: Settings) -> None:
    """Its run directory is gone."""
    assert found(settings) == {}
