"""rollback: to the release before, or to one by name; never to one that is not there or was never good."""

from __future__ import annotations

import pytest
from farrier_release.errors import ExitCode

from tests.unit.roles.release.conftest import Run, add_release, make_live
from tests.unit.roles.release.machine import Behaviour, FakeHost, with_settings

OLDEST, OLD, LIVE = "20260101T000000Z-v1", "20260102T000000Z-v2", "20260103T000000Z-v3"
NEVER = "20260102T120000Z-bad"


@pytest.fixture
def history(host: FakeHost) -> FakeHost:
    """Three releases that were good, one after the other, and one that never was."""
    add_release(host.configuration, OLDEST, verified_at=1.0)
    add_release(host.configuration, OLD, verified_at=1.0, replaced=OLDEST)
    add_release(host.configuration, NEVER)
    make_live(host, LIVE, replaced=OLD)
    return host


def test_to_the_release_before(run: Run, history: FakeHost) -> None:
    """Rehearsed and verified like a new one, and logged."""
    code, result = run("rollback", "--who", "ann")
    assert (code, result["release"], result["from"]) == (ExitCode.SUCCESS, OLD, LIVE)
    assert history.server.release == OLD
    assert f"start --no-block test-rehearsal@{OLD}.service" in history.calls
    attempt = run("log")[1]["attempts"][-1]
    assert (attempt["what"], attempt["who"], attempt["result"]) == ("rollback", "ann", "live")


def test_twice_goes_back_twice(run: Run, history: FakeHost) -> None:
    """Not forward again to the release that was found bad."""
    run("rollback")
    run("rollback")
    assert history.server.release == OLDEST
    code, result = run("rollback")
    assert code == ExitCode.USAGE
    assert "The release before" in result["message"]
    assert LIVE in result["message"]


def test_to_a_release_by_name(run: Run, history: FakeHost) -> None:
    """Forward too, when the operator has changed their mind."""
    run("rollback", "--release", OLDEST)
    assert history.server.release == OLDEST
    run("rollback", "--release", LIVE)
    assert history.server.release == LIVE


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (LIVE, "is already live"),
        ("20250101T000000Z-gone", "it was pruned or never existed"),
        (NEVER, "never went live successfully"),
        ("../../etc", "it was pruned or never existed"),
    ],
)
def test_a_release_that_cannot_be_is_refused(run: Run, history: FakeHost, wanted: str, message: str) -> None:
    """With those that can."""
    code, result = run("rollback", "--release", wanted)
    assert code == ExitCode.USAGE
    assert message in result["message"]
    assert OLD in result["message"]
    assert NEVER not in result["message"].partition("Releases that went live successfully")[2]
    assert history.server.release == LIVE
    assert run("status")[1]["lease"] is None


def test_force_goes_to_one_that_never_was_live(run: Run, history: FakeHost) -> None:
    """It is rehearsed and verified all the same."""
    assert run("rollback", "--release", NEVER, "--force")[0] == ExitCode.SUCCESS
    assert history.server.release == NEVER


def test_a_release_that_no_longer_lives_does_not_go_live(run: Run, history: FakeHost) -> None:
    """Its environment may have changed; and it is not removed, being no leftover."""
    history.behaviours[OLD] = Behaviour(boots=False)
    code, result = run("rollback")
    assert code == ExitCode.FAILED
    assert "failed its rehearsal" in result["message"]
    assert history.server.release == LIVE
    assert history.configuration.release_directory(OLD).exists()
    assert run("status")[1]["lease"] is None


def test_a_rollback_that_fails_is_undone(run: Run, history: FakeHost) -> None:
    """The release that was live is live again, good or bad: it is what was there."""
    with_settings(history, verify_timeout_seconds=1)
    add_release(history.configuration, "20260102T130000Z-restart", verified_at=1.0, packages={})
    history.behaviours["20260102T130000Z-restart"] = Behaviour(dies_when_live=True)
    code, _ = run("rollback", "--release", "20260102T130000Z-restart")
    assert code == ExitCode.UNDONE
    assert history.server.release == LIVE


def test_hooks_of_a_rollback(run: Run, history: FakeHost) -> None:
    """A failing one does not bring back what the operator wanted gone."""
    with_settings(history, hooks={"after_activate": ["announce"], "after_rollback": ["withdraw"]})
    history.failing_tasks.add("withdraw")
    assert run("rollback")[0] == ExitCode.SUCCESS
    assert history.server.release == OLD
    assert "farrier-test-after-rollback: withdraw" in history.calls
    assert "farrier-test-after-activate: announce" not in history.calls


def test_foreseen(run: Run, history: FakeHost) -> None:
    """The way is known before anything is done."""
    code, result = run("rollback", "--check")
    assert (code, result["release"], result["how"]) == (ExitCode.SUCCESS, OLD, "reload")
    add_release(history.configuration, "20260102T130000Z-restart", verified_at=1.0, packages={})
    assert run("rollback", "--check", "--release", "20260102T130000Z-restart")[1]["how"] == "overlap"
    assert run("rollback", "--check", "--release", "20250101T000000Z-gone")[0] == ExitCode.USAGE
    assert history.server.release == LIVE
    assert run("status")[1]["lease"] is None
    assert run("log")[1]["attempts"] == []


def test_without_any_release(run: Run, host: FakeHost) -> None:
    """There is nothing to go back to, and nothing breaks."""
    code, result = run("rollback")
    assert code == ExitCode.USAGE
    assert "successfully: none" in result["message"]
