"""watch: a release that dies soon after it went live is undone, and nothing else is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from farrier_release import reconcile, transaction, watch
from farrier_release.application import Application
from farrier_release.errors import ExitCode
from farrier_release.state import Transaction
from farrier_release.storage import point

from tests.unit.roles.release.conftest import Run, add_release, make_live
from tests.unit.roles.release.machine import Behaviour, FakeHost, with_settings

OLD, NEW = "20260101T000000Z-v1", "20260102T000000Z-v2"


class Live:
    """A new release that goes live, and what happens while it is watched."""

    def __init__(self, run: Run, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run, self.host, self._monkeypatch = run, host, monkeypatch
        monkeypatch.setattr(watch, "_LOOK_EVERY_SECONDS", 0.01)
        with_settings(host, watch_seconds=1)
        make_live(host, OLD)
        add_release(host.configuration, NEW)
        transaction = Transaction("t", "deploy", "ann", {}, NEW, OLD, time.time(), phase="prepared")
        Application(host.configuration, host).state.begin(transaction)

    def watch(self, happens: Callable[[], object]) -> tuple[int, dict[str, Any]]:
        """Activate it; something happens as soon as it is watched."""
        prune = transaction.prune

        def then(application: Application) -> list[str]:
            happens()
            return prune(application)

        self._monkeypatch.setattr(transaction, "prune", then)
        return self.run("activate", "--token", "t")


@pytest.fixture
def live(run: Run, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Live:
    """One that is ready to."""
    return Live(run, host, monkeypatch)


def is_undone(live: Live) -> None:
    """The release before serves, and the new one counts as bad."""
    assert (live.host.live(), live.host.server.release) == (OLD, OLD)
    status = live.run("status")[1]
    assert (status["problem"], status["lease"], status["watched"]) == ("", None, False)
    assert (status["attempts"][-1]["result"], status["attempts"][-1]["what"]) == ("undone", "watch")
    assert (NEW, False, False) in {(one["id"], one["good"], one["live"]) for one in status["releases"]}


def is_kept(live: Live, result: tuple[int, dict[str, Any]]) -> None:
    """It stays live, and nothing but its deploy is on record."""
    assert (result[0], live.host.live()) == (ExitCode.SUCCESS, NEW)
    assert [one["result"] for one in live.run("log")[1]["attempts"]] == ["live"]
    assert live.run("status")[1]["watched"] is False


def test_a_release_that_stays_alive(live: Live) -> None:
    """Nothing happens."""
    is_kept(live, live.watch(lambda: None))


def test_workers_that_died_with_the_former_ones_in_their_place(live: Live) -> None:
    """The hand-over master has saved the moment; the symlink follows, and the release counts as bad."""
    live.watch(lambda: live.host._serve(OLD))
    is_undone(live)


def test_a_service_that_died(live: Live) -> None:
    """And was started again by systemd."""

    def die() -> None:
        live.host.restarts += 1

    live.watch(die)
    is_undone(live)


def test_a_service_that_died_before_the_deploy(live: Live) -> None:
    """The database was late at boot: that says nothing of a release that came later by a reload."""
    live.host.restarts = 2
    is_kept(live, live.watch(lambda: None))


def test_a_service_that_systemd_gave_up(live: Live) -> None:
    """It failed too often."""
    live.watch(lambda: setattr(live.host, "state", "failed"))
    assert live.host.live() == OLD


def test_a_service_that_somebody_stops(live: Live) -> None:
    """An operator's `systemctl stop` is no fault of the release, and is not undone."""
    is_kept(live, live.watch(lambda: live.host.systemctl("stop", "test.service")))
    assert not live.host.active


def test_a_restart_by_somebody_is_none_of_its_business(live: Live) -> None:
    """As by site.yml: it takes a while, and in between no worker serves."""

    def restart() -> None:
        (live.host.configuration.run_directory / "master.json").unlink()
        live.host.state = "activating"

    is_kept(live, live.watch(restart))


def test_when_the_former_one_does_not_live_either(live: Live) -> None:
    """It is shouted in the log, and the deploy is not over."""

    def die() -> None:
        live.host.restarts = 1
        live.host.behaviours[OLD] = Behaviour(boots=False)

    assert live.watch(die)[0] == ExitCode.SUCCESS
    assert live.run("log")[1]["attempts"][-1]["result"] == "broken"
    assert live.host.phase() == "watch"


def test_workers_that_start_after_a_boot_are_waited_for(run: Run, host: FakeHost) -> None:
    """The power failed while the release was watched; its first worker serves, the second one starts."""
    make_live(host, OLD)
    make_live(host, NEW)
    watched = Transaction("t", "deploy", "ann", {}, NEW, OLD, time.time(), phase="watch", flip={"at": 1.0})
    Application(host.configuration, host).state.begin(watched)
    master = host.configuration.run_directory / "master.json"
    content = master.read_text()
    master.write_text(content.replace('"workers": 1', '"workers": 2'))
    started = threading.Timer(0.3, lambda: master.write_text(content))
    started.start()
    assert run("recover")[0] == ExitCode.SUCCESS
    started.join()
    assert (host.live(), host.phase()) == (NEW, "")


def test_a_watched_release_that_stays_down_after_a_boot_is_undone(
    run: Run, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the watch itself."""
    monkeypatch.setattr(reconcile, "_PATIENCE_SECONDS", 0.1)
    make_live(host, NEW)
    make_live(host, OLD)
    point(host.configuration.current, f"releases/{NEW}")
    watched = Transaction("t", "deploy", "ann", {}, NEW, OLD, time.time(), phase="watch", flip={"at": 1.0})
    Application(host.configuration, host).state.begin(watched)
    assert run("recover")[0] == ExitCode.SUCCESS
    assert (host.live(), host.server.release, host.phase()) == (OLD, OLD, "")
