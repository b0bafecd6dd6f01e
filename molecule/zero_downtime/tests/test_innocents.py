"""A request that fails is its client's affair alone."""

from __future__ import annotations

import pytest

from tests.harness.load.innocents import Site, beside_offenders
from tests.harness.load.offenders import EVERY_WAY, RAISE_AFTER

RUNS_LAST = True
SECONDS = 10.0


@pytest.mark.parametrize(("ways", "per_second"), [(RAISE_AFTER, 300.0), (EVERY_WAY, 75.0)])
def test_requests_that_fail_take_no_others_with_them(
    asked_site: Site, ways: tuple[str, ...], per_second: float
) -> None:
    """nginx sends the next request over the same connection, and never repeats a POST."""
    report, outcomes = beside_offenders(asked_site, ways, per_second=per_second, seconds=SECONDS)
    print(f"{report.failed} of {report.requests} innocent requests failed; the others: {outcomes}")
    assert outcomes.total() > SECONDS * per_second / 2
    assert report.failed == 0, report.failures
