"""Workers that have served their number of requests are replaced before they go."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.roles.app_server.host import Host, wait_for
from tests.unit.roles.app_server.load import Load

# The start-up fails as long as there is a certain file.
FAILS_ON_DEMAND = "assert not Path('database-is-away').exists()"


def test_one_worker_is_replaced_before_it_goes(make_host: Callable[..., Host]) -> None:
    """gunicorn starts the replacement when the old worker has gone: nobody would serve meanwhile."""
    host = make_host(workers=1, max_requests=100)
    host.add_release("1", prologue="import time; time.sleep(1)")
    host.activate("1")
    host.start()
    first = host.ready()[0].pid
    with Load(host.socket) as load:
        wait_for(lambda: [w.pid for w in host.ready()] not in ([first], []), "it was replaced", host)
        load.wait_for_more(200)
    assert load.failures == []
    assert load.slowest_seconds < 0.9


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
