"""The figures of a report, from rows that are known."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.harness.load import results
from tests.harness.load.compare import compare
from tests.harness.load.failures import Failure, Kind
from tests.harness.load.recorder import KEPT_FAILURES, Mark, Recorder, Route
from tests.harness.load.summary import summarise

PAGE = Route("GET", "/version")
STREAM = Route("GET", "/events", long=True)


class Clock:
    """Stands in for the time since the start of the run."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tests.harness.load.recorder.monotonic", clock)
    return clock


def recorded(clock: Clock) -> Recorder:
    """Ten answers of r1, one each 100 ms; a reload; a gap of 500 ms; ten answers of r2; one failure."""
    recorder = Recorder()
    for number in range(20):
        at = number * 0.1 + (0.4 if number >= 10 else 0.0)
        if number == 10:
            clock.seconds = 1.0
            recorder.mark("reload")
        clock.seconds = at + (0.05 if number == 15 else 0.01)
        recorder.add(PAGE, at, status=200, release="r1" if number < 10 else "r2")
    clock.seconds = 2.5
    recorder.add(STREAM, 0.0, status=200, release="r1")
    clock.seconds = 2.6
    recorder.fail(PAGE, 2.55, Failure(Kind.STATUS, "status 502 instead of 200", 502), path="/version")
    clock.seconds = 4.0
    recorder.end()
    return recorder


def summary_of(recorder: Recorder) -> dict[str, Any]:
    return summarise(recorder, url="https://observatory.lab.test", connections=64)


def test_counts(clock: Clock) -> None:
    """Requests, failures, rate, releases in the order of their answers."""
    summary = summary_of(recorded(clock))
    assert (summary["requests"], summary["failed"], summary["requests_per_second"]) == (22, 1, 5.5)
    assert summary["failures_by_kind"] == {"status": 1}
    assert summary["by_release"]["r2"] == {"requests": 10, "first_seconds": 1.41, "last_seconds": 2.31}
    assert summary["by_status"] == {"200": 21, "502": 1}
    assert summary["by_route"]["GET /version"]["requests"] == 21
    assert summary["by_route"]["GET /version"]["failed"] == 1


def test_latency_leaves_out_streams_and_failures(clock: Clock) -> None:
    """A stream of 2.5 s is long on purpose."""
    summary = summary_of(recorded(clock))
    assert summary["milliseconds"]["slowest"] == pytest.approx(50, abs=0.01)
    assert summary["milliseconds"]["p50"] == pytest.approx(10, abs=0.01)
    assert summary["slowest"][0]["at_seconds"] == pytest.approx(1.9)
    assert summary["slowest"][0]["release"] == "r2"


def test_what_was_begun_anew_is_told(clock: Clock) -> None:
    """It is no failure, and not nothing either."""
    recorder = recorded(clock)
    recorder.repeated, recorder.streams_lost = 2, 1
    text = results.describe(summary_of(recorder))
    assert "2 repeated at another address, 1 streams lost and begun anew" in text


def test_gaps_name_the_mark_that_they_follow(clock: Clock) -> None:
    """The pause of a restart is the longest time without any answer."""
    gap = summary_of(recorded(clock))["gaps"][0]
    assert gap == {"at_seconds": 0.91, "milliseconds": 500.0, "after_mark": "reload"}


def test_a_mark_has_what_happened_until_the_next(clock: Clock) -> None:
    """Each window counts for itself; the pause before its first answer belongs to it."""
    recorder = recorded(clock)
    recorder.marks.append(Mark(2.32, "second"))
    first, second = summary_of(recorder)["marks"]
    assert (first["label"], first["failed"], first["requests"]) == ("reload", 0, 11)
    assert first["longest_gap_milliseconds"] == pytest.approx(410)
    assert (second["label"], second["failed"]) == ("second", 1)


def test_failures_in_detail_are_bounded(clock: Clock) -> None:
    """All are counted, the first ones told."""
    recorder = Recorder()
    for _ in range(50):
        recorder.fail(PAGE, 0.0, Failure(Kind.TIMEOUT, "nothing"))
    clock.seconds = 1.0
    recorder.end()
    summary = summary_of(recorder)
    assert (summary["failed"], len(summary["failures"])) == (50, KEPT_FAILURES)
    assert summary["milliseconds"]["slowest"] == 0.0


def test_the_files_hold_every_request(clock: Clock, tmp_path: Path) -> None:
    """A summary, a picture, and a row for each request in the order of their beginnings."""
    recorder = recorded(clock)
    results.write(summary_of(recorder), recorder, tmp_path, "run")
    with gzip.open(tmp_path / "run.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 22
    assert [float(row["start_seconds"]) for row in rows] == sorted(
        float(row["start_seconds"]) for row in rows
    )
    assert rows[-1] == {
        "start_seconds": "2.550000",
        "milliseconds": "50.000",
        "method": "GET",
        "path": "/version",
        "status": "502",
        "release": "",
        "host": "",
        "error": "status",
    }
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_an_empty_run_can_be_written(tmp_path: Path) -> None:
    """A target that is down from the start is told of too."""
    recorder = Recorder()
    recorder.end()
    assert results.write(summary_of(recorder), recorder, tmp_path, "run").exists()


def test_a_run_of_streams_alone_can_be_written(clock: Clock, tmp_path: Path) -> None:
    """Without any latency there is nothing that a logarithmic axis could show."""
    recorder = Recorder()
    for number, release in enumerate(("r1", "r2")):
        clock.seconds = 50.0 * (number + 1)
        recorder.add(STREAM, 50.0 * number, status=200, release=release)
    recorder.end()
    assert results.write(summary_of(recorder), recorder, tmp_path, "run").exists()


def test_two_runs_side_by_side(clock: Clock) -> None:
    """With the ratio of the second to the first."""
    summary = summary_of(recorded(clock))
    table = compare(summary, summary | {"requests_per_second": 11.0}, ("stock", "handover"))
    line = next(line for line in table.splitlines() if line.startswith("requests per second"))
    assert line.split()[-3:] == ["5.5", "11", "2.000"]
