"""The guarantee: a request is answered by the old release or by the new one, whatever the new one is like."""

from __future__ import annotations

import http.client
import itertools
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from farrier_gunicorn import status

from tests.unit.roles.app_server.host import Host, wait_for
from tests.unit.roles.app_server.load import Load

IMPORT_FAILS = "import a_module_that_nobody_installed"
START_UP_FAILS = "raise RuntimeError('the database is away')"
HANGS = "import time; time.sleep(3600)"


def codes(host: Host) -> set[str]:
    """Releases whose code answers; enough requests to meet every worker."""
    return {host.get()["code"] for _ in range(20)}


def assert_stops_cleanly(host: Host) -> None:
    """Nothing is left behind by the master, its workers, or what they had open."""
    processes = host.processes()
    assert host.stop() == 0
    assert [pid for pid in processes if Path(f"/proc/{pid}").exists()] == []
    assert list(host.run_directory.glob("workers/*")) == []
    assert "ResourceWarning" not in host.log.read_text()


def test_good_and_bad_releases_in_turn(host: Host) -> None:
    """The whole story in one life of a master, undo of a hanging release included."""
    host.add_release("does-not-import", prologue=IMPORT_FAILS)
    host.add_release("does-not-start", startup=START_UP_FAILS)
    host.add_release("hangs", prologue=HANGS)
    host.start()
    with Load(host.socket) as load:
        for release, expected, reason in [
            ("2", "2", None),
            ("1", "1", None),
            ("does-not-import", "1", "No module named 'a_module_that_nobody_installed'"),
            ("1", "1", None),
            ("2", "2", None),
            ("does-not-start", "2", "RuntimeError: the database is away"),
            ("1", "1", None),
        ]:
            done = host.deploy(release)
            assert (done.returncode == 0) == (reason is None), done.stderr
            assert reason is None or reason in done.stderr
            assert codes(host) == {expected}
            load.wait_for_more(50)

        host.activate("hangs")
        host.signal(signal.SIGHUP)
        wait_for(lambda: status.read_master(host.run_directory).candidate, "the hanging release starts up")
        assert host.deploy("2").returncode == 0
        assert codes(host) == {"2"}
        load.wait_for_more(50)
    assert load.failures == []
    assert set(load.releases) == {"1", "2"}
    assert host.master.poll() is None
    assert_stops_cleanly(host)


def test_old_workers_serve_while_the_new_release_takes_its_time(host: Host) -> None:
    """gunicorn ends the old workers before the new ones have imported the app: nobody would accept."""
    host.add_release("slow", prologue="import time; time.sleep(3)")
    host.start()
    with Load(host.socket) as load:
        host.activate("slow")
        host.signal(signal.SIGHUP)
        wait_for(lambda: status.read_master(host.run_directory).candidate, "the slow release starts up")
        answered = load.releases["1"]
        wait_for(lambda: codes(host) == {"slow"}, "the slow release serves", host)
        assert load.releases["1"] > answered + 100
    assert load.failures == []
    assert load.slowest_seconds < 2


def test_release_that_hangs_in_its_start_up_is_given_up(make_host: Callable[..., Host]) -> None:
    """gunicorn never gives up on a worker that hangs before its first heartbeat."""
    host = make_host(boot_timeout_seconds=5)
    host.add_release("1")
    host.add_release("hangs", startup="await asyncio.sleep(3600)")
    host.add_release("blocks", startup="import time; time.sleep(3600)")
    host.activate("1")
    host.start()
    with Load(host.socket) as load:
        for release in ("hangs", "blocks"):
            done = host.deploy(release)
            assert done.returncode == 1
            assert f"release {release}, timeout: the start-up took longer than boot_timeout" in done.stderr
            assert codes(host) == {"1"}
    wait_for(lambda: len(host.processes()) == 3, "only the master and its two workers are left", host)
    assert load.failures == []


def test_release_that_dies_soon_after_its_start_gives_way_to_the_one_before(host: Host) -> None:
    """Also when it has taken over by then."""
    die = "asyncio.get_running_loop().call_later(2, os._exit, 7)"
    host.add_release("dies", startup=die)
    host.start()
    workers = {worker.pid for worker in host.ready()}
    assert host.deploy("dies").returncode == 0
    wait_for(lambda: codes_without_errors(host) == {"1"}, "release 1 serves again", host)
    wait_for(lambda: {worker.pid for worker in host.ready()} == workers, "its workers are the same", host)
    failure = status.read_failure(host.run_directory)
    assert failure.release == "dies"
    assert "exit code 7" in failure.error
    assert host.deploy("1").returncode == 0
    assert codes(host) == {"1"}


def test_previous_workers_stand_by_for_their_time_however_short_the_request_timeout_is(
    make_host: Callable[..., Host],
) -> None:
    """Standing by has a length of its own; the time for requests is for requests."""
    host = make_host(graceful_timeout_seconds=3)
    host.add_release("1")
    host.add_release("dies", startup="asyncio.get_running_loop().call_later(5, os._exit, 7)")
    host.activate("1")
    host.start()
    workers = {worker.pid for worker in host.ready()}
    assert host.deploy("dies").returncode == 0
    wait_for(lambda: codes_without_errors(host) == {"1"}, "release 1 serves again", host)
    wait_for(lambda: {worker.pid for worker in host.ready()} == workers, "its workers are the same", host)


def test_reload_does_not_wait_for_a_worker_that_is_blocked(make_host: Callable[..., Host]) -> None:
    """It accepts nothing meanwhile, and stands by when it wakes up."""
    host = make_host(boot_timeout_seconds=6, timeout_seconds=30)
    host.add_release("1")
    host.add_release("2")
    host.activate("1")
    host.start()
    with host.connection() as connection:
        connection.request("GET", "/block?15")
        began = time.monotonic()
        done = host.deploy("2")
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - began < 12
        assert "does not react" in done.stderr
        assert codes(host) == {"2"}
        assert connection.getresponse().status == 200


def test_reload_waits_for_the_one_that_supersedes_it(make_host: Callable[..., Host]) -> None:
    """Its own time began earlier."""
    host = make_host(boot_timeout_seconds=14)
    host.add_release("1")
    host.add_release("slow", prologue="import time; time.sleep(10)")
    host.activate("1")
    host.start()
    host.activate("slow")
    with ThreadPoolExecutor() as pool:
        first = pool.submit(host.reload)
        time.sleep(9.5)
        second = pool.submit(host.reload)
        assert first.result().returncode == 0, first.result().stderr
        assert second.result().returncode == 0, second.result().stderr
    assert codes(host) == {"slow"}


def codes_without_errors(host: Host) -> set[str]:
    """As `codes`, where a worker may die with a request."""
    try:
        return codes(host)
    except (OSError, http.client.HTTPException):
        return set()


def test_worker_that_dies_is_replaced_and_takes_nobody_with_it(host: Host) -> None:
    """Exit codes 3 and 4 end a gunicorn master and all its workers, even if it is the app that uses them."""
    host.start()
    for code in (3, 4, 0):
        with host.connection() as connection:
            connection.request("GET", f"/end?{code}")
            host.wait_until_one_is_replaced()
    assert codes(host) == {"1"}
    assert host.master.poll() is None


def test_reloads_in_quick_succession_converge_to_the_newest_release(host: Host) -> None:
    """A HUP during a HUP, and again, with a broken release among them."""
    host.add_release("does-not-import", prologue=IMPORT_FAILS)
    host.start()
    with Load(host.socket) as load:
        for release in itertools.islice(itertools.cycle(["2", "does-not-import", "1"]), 20):
            host.activate(release)
            host.signal(signal.SIGHUP)
            load.wait_for_more(5)
        assert host.deploy("1").returncode == 0
        assert codes(host) == {"1"}
        load.wait_for_more(50)
    assert load.failures == []
    assert_stops_cleanly(host)


def test_one_worker_hands_over_too(make_host: Callable[..., Host]) -> None:
    """There is no sibling that could help out."""
    host = make_host(workers=1)
    host.add_release("1")
    host.add_release("2", prologue="import time; time.sleep(1)")
    host.activate("1")
    host.start()
    with Load(host.socket) as load:
        assert host.deploy("2").returncode == 0
        load.wait_for_more(50)
        assert host.deploy("1").returncode == 0
    assert load.failures == []
    assert set(load.releases) == {"1", "2"}


def test_stock_worker_can_be_chosen(make_host: Callable[..., Host]) -> None:
    """With gunicorn's own master, pinned releases and status files, but without the guarantee."""
    host = make_host(worker_class="stock")
    host.add_release("1")
    host.add_release("2")
    host.activate("1")
    host.start()
    for release in ("2", "1"):
        assert host.deploy(release).returncode == 0
        # More than once, perhaps: a stock worker that goes resets connections.
        wait_for(lambda release=release: codes_without_errors(host) == {release}, "the release serves", host)
        with host.connection() as connection:
            connection.request("GET", "/")
            assert connection.getresponse().getheader("X-Release") == release
    assert host.get()["handover_imported"] is False
    host.write_settings(workers=0)
    refused = host.reload()
    assert refused.returncode == 1
    assert "workers must be a whole number of at least 1" in refused.stderr
    wait_for(lambda: codes_without_errors(host) == {"1"}, "the workers go on", host)
