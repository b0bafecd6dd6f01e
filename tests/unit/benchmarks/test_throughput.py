"""The benchmarks refuse figures that mean nothing."""

from __future__ import annotations

import pytest

from tests.benchmarks.throughput import BenchmarkError, read_wrk

OUTPUT = """Running 5s test @ https://observatory.lab.test/version
  2 threads and 64 connections
  33120 requests in 5.00s, 9.12MB read
{errors}Requests/sec:   6623.94
Transfer/sec:      1.82MB
"""


def test_what_wrk_measured() -> None:
    """Requests per second of a run in which every answer was good."""
    assert read_wrk(OUTPUT.format(errors="")) == 6623.94


@pytest.mark.parametrize(
    "errors",
    ["  Socket errors: connect 0, read 3, write 0, timeout 0\n", "  Non-2xx or 3xx responses: 33120\n"],
)
def test_errors_are_not_measured(errors: str) -> None:
    """Refusals are answered faster than requests."""
    with pytest.raises(BenchmarkError, match="wrk met errors"):
        read_wrk(OUTPUT.format(errors=errors))


def test_no_figure() -> None:
    """wrk that could not connect prints none."""
    with pytest.raises(BenchmarkError, match="wrk met errors"):
        read_wrk("unable to connect\n")
