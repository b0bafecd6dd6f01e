"""Who goes and how many come: the numbers behind max_requests, TTIN, TTOU and crashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from farrier_gunicorn import upkeep
from farrier_gunicorn.shared_state import SharedState, Stage
from farrier_gunicorn.upkeep import BackOff, plan

B, R, C, D = Stage.BOOTING, Stage.READY, Stage.RECYCLING, Stage.DRAINING
Team = list[SimpleNamespace]


@pytest.fixture
def make_team() -> Iterator[Callable[..., Team]]:
    """Workers at the given stages, oldest first."""
    with ExitStack() as stack:

        def make(*stages: Stage) -> Team:
            team = [SimpleNamespace(shared_state=SharedState()) for _ in stages]
            for worker, stage in zip(team, stages, strict=True):
                worker.shared_state.stage = stage
                stack.callback(worker.shared_state.close)
            return team

        yield make


@pytest.mark.parametrize(
    ("stages", "wanted", "going", "start"),
    [
        ([], 2, [], 2),
        ([R, R], 2, [], 0),
        ([R, B], 2, [], 0),
        ([R, D], 2, [], 0),  # replaced when it is gone, or called back
        # Fewer are wanted: the oldest goes, but not while another has done nothing yet.
        ([R, R, R], 2, [0], 0),
        ([R, R, B], 2, [2], 0),
        # Recycling: first the replacement, then the farewell; one at a time.
        ([C], 1, [], 1),
        ([C, B], 1, [], 0),
        ([C, R], 1, [0], 0),
        ([C, C], 2, [], 1),
        ([C, C, B], 2, [], 0),
        ([C, C, R], 2, [0], 1),
        ([C, R], 2, [], 1),
        ([C, R], 3, [], 1),
        # A worker that died while another one was recycling.
        ([C, B], 3, [], 1),
    ],
)
def test_plan(
    make_team: Callable[..., Team], stages: list[Stage], wanted: int, going: list[int], start: int
) -> None:
    """As many serve at any time as are wanted."""
    team = make_team(*stages)
    todo = plan(team, wanted, may_recycle=True)
    assert [team.index(worker) for worker in todo.retire] == going
    assert todo.start == start


def test_nobody_is_recycled_while_a_whole_generation_starts(make_team: Callable[..., Team]) -> None:
    """It brings replacements for all."""
    assert plan(make_team(C, R), 2, may_recycle=False).start == 0


def test_back_off_grows_to_a_limit_and_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is away is not asked all the time, and not left alone for long."""
    now = 100.0
    monkeypatch.setattr(upkeep.time, "monotonic", lambda: now)
    back_off = BackOff()
    assert back_off.is_over
    for pause in (0.5, 1, 2, 4, 8, 10, 10):
        back_off.lengthen()
        now += pause - 0.01
        assert not back_off.is_over
        now += 0.02
        assert back_off.is_over
    back_off.reset()
    back_off.lengthen()
    now += 0.51
    assert back_off.is_over
