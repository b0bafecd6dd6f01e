"""Last of all: what came of the load that ran through all of it."""

from __future__ import annotations

import pytest
from fleet_under_load import OUTAGE, Fleet

RUNS_LAST = True


def test_no_request_failed_but_for_outages(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    """The promise: whatever is planned, no client sees a failed request."""
    report = fleet.load.stop()
    with capsys.disabled():
        print(f"\n{report}")
    assert report.requests > 1000
    planned = [mark for mark in report.summary["marks"] if not mark["label"].startswith(OUTAGE)]
    assert [mark for mark in planned if mark["failed"]] == [], report
    assert set(report.summary["by_host"]) == set(fleet.apps)
