"""Releases that cannot live: the one before them answers every request, and the operator is told why."""

from __future__ import annotations

import pytest
from app_under_load import AppUnderLoad
from versions import BAD, BAD_WHEN_LIVE, BadRelease

from tests.harness.deploys import Run

GROUP = "app"


def check_failure_is_told(done: Run, bad: BadRelease, live: str) -> None:
    """Name of the phase, the app's own error, what serves now, and what to do next."""
    assert done.failed, done.output
    assert any(f"observatory: {phase} failed." in done.output for phase in bad.phases), done.output
    for text in (*bad.says, f"Still live and serving: {live}", "Next: "):
        assert text in done.output, done.output


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_bad_release_never_goes_live(app_under_load: AppUnderLoad, bad: BadRelease) -> None:
    """What is found before the symlink moves costs nothing: not a process of the live release is replaced."""
    before = app_under_load.begin(bad.version)
    done = app_under_load.run(version=bad.version)
    check_failure_is_told(done, bad, before.live)
    after = app_under_load.site.wait_until_quiet()
    app_under_load.check_live_is_untouched(before, after)
    app_under_load.check_no_request_failed(not_answered_by=bad.version)
    assert len(after.attempts) == len(before.attempts) + 1
    last = after.attempts[-1]
    assert last["to"].endswith(f"Z-{bad.version}")
    assert last["from"] == before.live
    assert last["result"] == "failed"
    assert last["phase"] in bad.phases


def test_a_good_release_goes_live_after_them(app_under_load: AppUnderLoad) -> None:
    """None of them has left anything that the next one stumbles over."""
    app_under_load.begin("good after bad")
    app_under_load.check_a_good_release_goes_live()


@pytest.mark.parametrize("bad", BAD_WHEN_LIVE, ids=str)
def test_release_that_is_bad_when_live_is_undone(app_under_load: AppUnderLoad, bad: BadRelease) -> None:
    """Not everything shows in a rehearsal: then the host puts the former release back, and says so."""
    before = app_under_load.begin(bad.version)
    done = app_under_load.run(version=bad.version)
    check_failure_is_told(done, bad, before.live)
    assert f"{before.live} is live again." in done.output
    after = app_under_load.site.wait_until_quiet()
    app_under_load.check_live_is_as_before(before, after)
    app_under_load.check_no_request_failed()
    assert after.lease is None
    assert after.incoming == []
    assert len(after.attempts) == len(before.attempts) + 1
    last = after.attempts[-1]
    assert last["to"].endswith(f"Z-{bad.version}")
    assert (last["result"], last["phase"]) == ("undone", "activate")
    app_under_load.check_a_good_release_goes_live()
