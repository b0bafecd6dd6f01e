"""Workers that have served their number of requests are replaced before they go."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.unit.roles.app_server.host import Host, wait_for
from tests.unit.roles.app_server.load import Load

# The start-up fails as long as there is a certain file.
FAILS_ON_DEMAND = "assert not Path('database-is-away').exists()"


def test_one_worker_is_replaced_before_it_goes(make_host: Callable[..., Host]) -> None:
    """gunicorn starts the replacement when the old worker has gone: nobody would serve meanwhile."""
    host = make_host(workers=1, max_requests=100)
    host.add_release("1", prologue="import time; time.sleep(2)")
    host.activate("1")
    host.start()
    first = host.ready()[0].pid
    with Load(host.socket) as load:
        wait_for(lambda: [w.pid for w in host.ready()] not in ([first], []), "it was replaced", host)
        load.wait_for_more(200)
    assert load.failures == []
    assert load.slowest_seconds < 1.9


def test_recycled_workers_go_on_when_their_replacements_do_not_start(make_host: Callable[..., Host]) -> None:
    """A database that is away for a while must not end workers that serve, nor the master with them."""
    host = make_host(max_requests=100)
    release = host.add_release("1", startup=FAILS_ON_DEMAND)
    host.activate("1")
    host.start()
    first = {worker.pid for worker in host.ready()}
    trouble = release / "source" / "project" / "database-is-away"
    trouble.touch()
    with Load(host.socket) as load:
        refusal = "did not start, the others keep serving"
        wait_for(lambda: host.log.read_text().count(refusal) >= 2, "it fails", host)
        load.wait_for_more(100)
        assert {worker.pid for worker in host.ready()} == first
        trouble.unlink()
        wait_for(lambda: not {w.pid for w in host.ready()} & first, "both were replaced", host)
        load.wait_for_more(100)
    assert load.failures == []


def test_replacements_come_from_the_release_that_serves(make_host: Callable[..., Host]) -> None:
    """Not from one that `current` points to but that was taken back."""
    host = make_host(max_requests=100)
    host.add_release("1")
    host.add_release("broken", prologue="import a_module_that_nobody_installed")
    host.activate("1")
    host.start()
    first = {worker.pid for worker in host.ready()}
    assert host.deploy("broken").returncode == 1
    with Load(host.socket) as load:
        wait_for(lambda: not {w.pid for w in host.ready()} & first, "both were replaced", host)
        load.wait_for_more(100)
    assert load.failures == []
    assert set(load.releases) == {"1"}


def test_worker_that_passes_its_memory_is_replaced_before_it_goes(make_host: Callable[..., Host]) -> None:
    """As one that has served its number of requests; the kernel would take its requests with it."""
    host = make_host(worker_memory_max_mb=150)
    host.add_release("1")
    host.activate("1")
    host.start()
    first = {worker.pid for worker in host.ready()}
    with Load(host.socket) as load:
        grown = host.get("/hold?150")["pid"]
        wait_for(lambda: grown not in host.processes(), "it was replaced", host)
        load.wait_for_more(100)
    assert load.failures == []
    assert len({worker.pid for worker in host.ready()} & first) == 1
    assert "MB and is replaced: worker_memory_max_mb" in host.log.read_text()


def test_memory_that_every_worker_has_at_its_start_replaces_nobody(make_host: Callable[..., Host]) -> None:
    """There would be no end of it. The mistake is told instead."""
    host = make_host(worker_memory_max_mb=5)
    host.add_release("1")
    host.activate("1")
    host.start()
    first = host.ready()
    with Load(host.socket) as load:
        load.wait_for_more(100)
        time.sleep(3)
    assert host.ready() == first
    assert "so worker_memory_max_mb (5) has no effect" in host.log.read_text()


def test_websockets_count_as_requests(make_host: Callable[..., Host]) -> None:
    """An app may have nothing else."""
    host = make_host(workers=1, max_requests=20)
    host.add_release("1")
    host.activate("1")
    host.start()
    first = host.ready()[0].pid
    for _ in range(20):
        with host.websocket("/ws") as (_, head):
            assert b" 101 " in head[0]
    wait_for(lambda: first not in [worker.pid for worker in host.ready()], "it was replaced", host)


@pytest.mark.parametrize("hook", ["pass", "raise ValueError('of the hook')"])
def test_gunicorns_hook_for_a_worker_that_has_ended_is_called(host: Host, hook: str) -> None:
    """Prometheus' client needs it, for one. An error in it is told."""
    ended = host.directory / "ended"
    (host.directory / "settings.py").write_text(
        "from farrier_gunicorn.settings import *\n"
        "def child_exit(server, worker):\n"
        f"    open({str(ended)!r}, 'a').write(f'{{worker.pid}} {{worker.age}}\\n')\n"
        f"    {hook}\n"
    )
    host.start(command=[*host.command[:-1], str(host.directory / "settings.py")])
    pids = {worker.pid for worker in host.ready()}
    with host.connection() as connection:
        connection.request("GET", "/end?1")
        wait_for(lambda: ended.exists() and len(host.processes()) == 3, "a worker was replaced", host)
    pid, age = ended.read_text().split()
    assert int(pid) in pids
    assert age in ("1", "2")
    assert ("ValueError: of the hook" in host.log.read_text()) == (hook != "pass")
    assert host.stop() == 0
    assert len(ended.read_text().splitlines()) == 4 - 1
