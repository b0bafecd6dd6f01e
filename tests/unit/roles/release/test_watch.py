"""watch: a release that dies soon after it went live is undone, and nothing else is."""

from __future__ import annotations

import pytest
from farrier_release import watch
from farrier_release.application import Application
from farrier_release.errors import ExitCode
from farrier_release.storage import read_json

from tests.unit.roles.release.conftest import Run, add_release, make_live
from tests.unit.roles.release.machine import Behaviour, FakeHost, with_settings

OLD, NEW = "20260101T000000Z-v1", "20260102T000000Z-v2"


@pytest.fixture
def live(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """A new release that went live a moment ago."""
    monkeypatch.setattr(watch, "_LOOK_EVERY_SECONDS", 0.01)
    with_settings(host, watch_seconds=1)
    add_release(host.configuration, OLD, verified_at=1.0)
    make_live(host, NEW, replaced=OLD)
    return host


def see(run: Run) -> tuple[int, dict[str, object]]:
    """Watch the new release."""
    return run("watch", "--release", NEW, "--origin", OLD)


def test_a_release_that_stays_alive(run: Run, live: FakeHost) -> None:
    """Nothing happens."""
    assert see(run)[1]["message"] == f"{NEW} stayed healthy."
    assert live.calls == []


def test_workers_that_died_with_the_former_ones_in_their_place(run: Run, live: FakeHost) -> None:
    """The hand-over master has saved the moment; the symlink follows, and the release counts as bad."""
    live._serve(OLD)
    code, result = see(run)
    assert (code, result["changed"]) == (ExitCode.SUCCESS, True)
    assert (live.live(), live.server.release) == (OLD, OLD)
    status = run("status")[1]
    assert status["problem"] == ""
    assert (status["attempts"][-1]["result"], status["attempts"][-1]["from"]) == ("undone", NEW)
    assert (NEW, False, False) in {(one["id"], one["good"], one["live"]) for one in status["releases"]}


def test_a_service_that_died(run: Run, live: FakeHost) -> None:
    """And was started again by systemd, or not."""
    live.restarts = 1
    assert see(run)[1]["changed"] is True
    assert live.live() == OLD


def test_a_restart_by_somebody_is_none_of_its_business(run: Run, live: FakeHost) -> None:
    """As by site.yml: it takes a while, and in between no worker serves."""
    (live.configuration.run_directory / "master.json").unlink()
    live.state = "activating"
    assert see(run)[1]["changed"] is False
    assert live.live() == NEW


def test_another_release_went_live_meanwhile(run: Run, live: FakeHost) -> None:
    """It has a watch of its own."""
    live.configuration.current.unlink()
    live.configuration.current.symlink_to(f"releases/{OLD}")
    assert see(run)[1]["changed"] is False


def test_another_release_goes_live_at_the_last_moment(
    run: Run, live: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the watch waits for the lock that a deploy holds."""
    seen: list[str] = []

    def flip(application: Application, release: str) -> str:
        if application.releases.live() == NEW and len(seen) == 2:
            live.configuration.current.unlink()
            live.configuration.current.symlink_to(f"releases/{OLD}")
        seen.append(release)
        return "test.service died"

    monkeypatch.setattr(watch, "_fault", flip)
    assert see(run)[1]["changed"] is False
    assert run("log")[1]["attempts"] == []


def test_when_the_former_one_does_not_live_either(run: Run, live: FakeHost) -> None:
    """It is shouted in the log."""
    live.restarts = 1
    live.behaviours[OLD] = Behaviour(boots=False)
    assert see(run)[0] == ExitCode.BROKEN
    assert run("log")[1]["attempts"][-1]["result"] == "broken"


def test_it_is_started_by_a_deploy_that_has_somewhere_to_go_back_to(live: FakeHost) -> None:
    """In a unit of its own, in place of the watch over the release before."""
    application = Application(live.configuration, live)
    watch.start(application, NEW, None)
    assert live.calls == []
    watch.start(application, NEW, OLD)
    assert live.calls == ["stop farrier-test-watch.service", "farrier-test-watch"]
    with_settings(live, watch_seconds=0)
    watch.start(Application(live.configuration, live), NEW, OLD)
    assert len(live.calls) == 2
    assert read_json(live.configuration.release_directory(NEW) / ".farrier.json") is not None
