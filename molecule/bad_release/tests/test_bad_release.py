"""Releases that cannot live: the one before them answers every request, and the operator is told why."""

from __future__ import annotations

import pytest
from shared.deploys import Run
from stage import Stage
from versions import BAD, BAD_WHEN_LIVE, BadRelease

GROUP = "app"


def check_failure_is_told(done: Run, bad: BadRelease, live: str) -> None:
    """Name of the phase, the app's own error, what serves now, and what to do next."""
    assert done.failed, done.output
    assert any(f"observatory: {phase} failed." in done.output for phase in bad.phases), done.output
    for text in (*bad.says, f"Still live and serving: {live}", "Next: "):
        assert text in done.output, done.output


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_bad_release_never_goes_live(stage: Stage, bad: BadRelease) -> None:
    """What is found before the symlink moves costs nothing: not a process of the live release is replaced."""
    before = stage.begin(bad.version)
    done = stage.run(version=bad.version)
    check_failure_is_told(done, bad, before.live)
    after = stage.site.wait_until_quiet()
    stage.check_live_is_untouched(before, after)
    stage.check_no_request_failed(not_answered_by=bad.version)
    assert len(after.attempts) == len(before.attempts) + 1
    last = after.attempts[-1]
    assert last["to"].endswith(f"Z-{bad.version}")
    assert last["from"] == before.live
    assert last["result"] == "failed"
    assert last["phase"] in bad.phases


def test_a_good_release_goes_live_after_them(stage: Stage) -> None:
    """None of them has left anything that the next one stumbles over."""
    stage.begin("good after bad")
    stage.check_a_good_release_goes_live()


@pytest.mark.parametrize("bad", BAD_WHEN_LIVE, ids=str)
def test_release_that_is_bad_when_live_is_undone(stage: Stage, bad: BadRelease) -> None:
    """Not everything shows in a rehearsal: then the host puts the former release back, and says so."""
    before = stage.begin(bad.version)
    done = stage.run(version=bad.version)
    check_failure_is_told(done, bad, before.live)
    assert f"{before.live} is live again." in done.output
    after = stage.site.wait_until_quiet()
    stage.check_live_is_as_before(before, after)
    stage.check_no_request_failed()
    assert after.lease is None
    assert after.incoming == []
    assert len(after.attempts) == len(before.attempts) + 1
    last = after.attempts[-1]
    assert last["to"].endswith(f"Z-{bad.version}")
    assert (last["result"], last["phase"]) == ("undone", "activate")
    stage.check_a_good_release_goes_live()
