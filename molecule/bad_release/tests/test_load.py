"""Last of all: what came of the load that ran through all of it."""

from __future__ import annotations

import pytest

from tests.harness.load import Load

GROUP = "app"
RUNS_LAST = True


def test_no_request_failed(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    """The promise: whatever is deployed, and however that ends, no client sees a failed request."""
    report = load.stop()
    with capsys.disabled():
        slowest = f"slowest {report.slowest_milliseconds:.0f} ms"
        print(f"\n{report.requests} requests, {report.failed} failed, {slowest}")
    assert report.requests > 1000
    assert report.failed == 0, report
