"""Nothing that a worker does, or leaves behind, ends the master and the workers that serve."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.unit.roles.app_server.host import Host, wait_for
from tests.unit.roles.app_server.load import Load
from tests.unit.roles.app_server.test_handover import codes


def lose_a_worker(host: Host, path: str) -> None:
    """Ask for a path that ends the worker, and wait for another one."""
    with host.connection() as connection:
        connection.request("GET", path)
        host.wait_until_one_is_replaced()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGRTMIN + 3, signal.SIGRTMAX])
def test_worker_that_dies_of_any_signal_is_replaced(host: Host, number: int) -> None:
    """Real-time signals have no name, except for the first and the last one."""
    host.start()
    lose_a_worker(host, f"/kill?{int(number)}")
    assert "ended unexpectedly: " in host.log.read_text()
    assert codes(host) == {"1"}
    assert host.master.poll() is None


def test_worker_that_is_interrupted_does_not_take_itself_for_the_master(
    make_host: Callable[..., Host],
) -> None:
    """KeyboardInterrupt and the like go through gunicorn's worker into its copy of the master's loop."""
    host = make_host(worker_class="handover_h11")
    host.add_release("1")
    host.activate("1")
    host.start()
    sibling = {worker.pid for worker in host.ready()}
    lose_a_worker(host, "/interrupt")
    assert sibling & {worker.pid for worker in host.ready()}
    log = host.log.read_text()
    assert "KeyboardInterrupt" in log
    assert "Shutting down" not in log


@pytest.mark.parametrize("kind", ["missing", "file", "directory inside"])
def test_status_files_that_cannot_be_removed_end_nobody(host: Host, kind: str) -> None:
    """They belong to the app's user, who can do with them what it likes."""
    host.start()
    workers = host.run_directory / "workers"
    with Load(host.socket) as load:
        if kind == "directory inside":
            for path in list(workers.iterdir()):
                path.unlink()
                path.mkdir()
        else:
            workers.rename(host.run_directory / "elsewhere")
            if kind == "file":
                workers.write_text("")
        host.signal(signal.SIGTTOU)
        wait_for(lambda: len(host.processes()) == 2, "one worker has gone", host)
        host.signal(signal.SIGTTIN)
        wait_for(lambda: len(host.processes()) == 3, "another one has come", host)
        load.wait_for_more(50)
    assert load.failures == []
    assert host.master.poll() is None


def test_failure_of_the_masters_upkeep_is_told_and_survived(host: Host) -> None:
    """Whatever nobody has thought of: the workers serve without it."""
    (host.directory / "broken").mkdir()
    (host.directory / "broken" / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'gunicorn' in sys.orig_argv:\n"
        "    from farrier_gunicorn import upkeep\n"
        "    plan = upkeep.plan\n"
        f"    def broken(*a, **k): assert not os.path.exists({str(host.directory / 'trouble')!r}); "
        "return plan(*a, **k)\n"
        "    upkeep.plan = broken\n"
    )
    path = f"{host.directory / 'broken'}:{host.environment['PYTHONPATH']}"
    host.start(PYTHONPATH=path)
    (host.directory / "trouble").touch()
    wait_for(lambda: "AssertionError" in host.log.read_text(), "it is told", host)
    assert codes(host) == {"1"}
    (host.directory / "trouble").unlink()
    lose_a_worker(host, "/end?1")
    assert host.master.poll() is None
    assert json.loads((host.run_directory / "master.json").read_text())["workers"] == 2


@pytest.mark.parametrize("shutdown", ["await asyncio.sleep(3600)", "time.sleep(3600)"])
def test_worker_that_is_told_to_go_is_replaced_at_once_and_does_go(
    make_host: Callable[..., Host], shutdown: str
) -> None:
    """By whoever sends SIGTERM, and whatever the app's shutdown handlers do: nobody else would serve."""
    host = make_host(workers=1, graceful_timeout_seconds=6)
    host.add_release("1", shutdown=shutdown)
    host.activate("1")
    host.start()
    first = host.ready()[0].pid
    os.kill(first, signal.SIGTERM)
    began = time.monotonic()
    wait_for(lambda: first not in [worker.pid for worker in host.ready()], "it drains", host)
    assert host.get()["pid"] != first
    assert time.monotonic() - began < 5.5
    assert first in host.processes()
    wait_for(lambda: first not in host.processes(), "it has gone", host)
    assert time.monotonic() - began < 11
    assert ("shutdown handlers take longer" in host.log.read_text()) == ("await" in shutdown)
    assert "ended unexpectedly" not in host.log.read_text()


def test_workers_that_send_themselves_away_are_not_started_again_and_again(
    make_host: Callable[..., Host],
) -> None:
    """They are started ever more slowly, as those that die."""
    host = make_host(workers=1)
    host.add_release("1", startup="asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), 15)")
    host.activate("1")
    host.start()
    time.sleep(6)
    assert 2 <= host.log.read_text().count("Booting worker") <= 6


def test_candidate_that_sends_itself_away_gives_way_to_the_one_before(host: Host) -> None:
    """Its end counts as a failure, as any other that nobody ordered."""
    host.add_release("leaves", startup="asyncio.get_running_loop().call_later(2, os.kill, os.getpid(), 15)")
    host.start()
    with Load(host.socket) as load:
        assert host.deploy("leaves").returncode == 0
        wait_for(lambda: "is withdrawn" in host.log.read_text(), "it is withdrawn", host)
        load.wait_for_more(50)
    assert codes(host) == {"1"}
    assert load.failures == []


def test_worker_that_is_told_to_go_while_it_stands_by_is_replaced_when_it_is_called_back(host: Host) -> None:
    """By one of its own release."""
    host.add_release("dies", startup="asyncio.get_running_loop().call_later(3, os._exit, 7)")
    host.start()
    first = {worker.pid for worker in host.ready()}
    assert host.deploy("dies").returncode == 0
    for pid in first:
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: "is withdrawn" in host.log.read_text(), "it is withdrawn", host)
    wait_for(lambda: len(host.ready()) == 2, "two workers serve", host)
    assert codes(host) == {"1"}
    wait_for(lambda: not first & set(host.processes()), "the first ones have gone", host)
