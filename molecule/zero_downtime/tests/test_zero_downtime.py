"""A running site is changed in every way there is, under load, and no client may notice."""

from __future__ import annotations

import pytest
from recorded_run import RELOADS_OF_SLOW_APP, REQUESTS, RecordedRun

from tests.harness.load import Report

GROUP = "app"

RSS_TOLERANCE = 0.05
IMPORT_OF_SLOW_APP_SECONDS = 3
# An overlap starts the app twice, so it is twice as likely to meet with other work of the machine.
SLOWER_THAN_RELOADS_AT_MOST = 2.0


def test_no_request_failed(recorded_run: RecordedRun) -> None:
    """The promise. More than half of the requests are POST, and nothing on the way may repeat one."""
    assert recorded_run.clients.failed == 0, recorded_run.clients.failures


def test_no_download_was_cut(recorded_run: RecordedRun) -> None:
    """A download is still on its way when the next release is live."""
    assert recorded_run.downloads.failed == 0, recorded_run.downloads.failures


def test_there_were_enough_requests(recorded_run: RecordedRun) -> None:
    """Of a few thousand none fails with any worker; of 300 000 the stock one loses hundreds.

    Nearly all of them in hand-overs, around which clients are as busy here as there.
    """
    assert recorded_run.clients.requests >= REQUESTS


def test_each_step_has_done_what_it_should(recorded_run: RecordedRun) -> None:
    """Nothing fails where nothing changes: each version has a page that says its name."""
    for step in recorded_run.steps:
        assert step.after.live.endswith(f"-{step.version}"), step
        assert step.release == step.after.live, step
        assert f"<h1>Observatory {step.version}</h1>" in step.page, step


def test_no_worker_of_another_release_accepts_afterwards(recorded_run: RecordedRun) -> None:
    """Two releases at once are the price of a hand-over; a deploy ends when that does."""
    for step in recorded_run.steps:
        assert step.after.problem == "", step
        releases = {
            worker["release"] for worker in step.after.status["workers"] if worker["state"] == "ready"
        }
        assert releases == {step.after.live}, step


def test_code_and_dependencies_change_under_the_same_master(recorded_run: RecordedRun) -> None:
    """A reload, so that at no time nobody accepts."""
    for step in [*recorded_run.alternating, recorded_run.step("dependencies"), recorded_run.step("rollback")]:
        assert step.attempt["how"] == "reload", step
        assert step.main_pid_after == step.main_pid_before, step


@pytest.mark.parametrize("label", ["server package", "rollback of that"])
def test_another_server_package_gets_another_master(recorded_run: RecordedRun, label: str) -> None:
    """What the master has imported it keeps; on the way back it is the same."""
    step = recorded_run.step(label)
    assert step.attempt["how"] == "overlap"
    assert "gunicorn" in step.attempt["message"]
    assert step.main_pid_after != step.main_pid_before


@pytest.mark.parametrize("label", ["server package", "rollback of that"])
def test_nobody_waits_for_another_master(recorded_run: RecordedRun, label: str) -> None:
    """Not much longer than for a reload of the same run, and not while the app starts."""
    reloads = [recorded_run.slowest_milliseconds(step.label) for step in recorded_run.reloads]
    assert recorded_run.slowest_milliseconds(label) <= SLOWER_THAN_RELOADS_AT_MOST * max(reloads)
    boot_seconds = recorded_run.step(label).attempt["seconds"]["rehearse"]
    assert recorded_run.gap_seconds(label) < boot_seconds / 2


def test_the_master_does_not_grow(recorded_run: RecordedRun) -> None:
    """Twenty reloads are a week's; a master lives for years."""
    reloads = recorded_run.reloads
    before_kb, after_kb = reloads[0].rss_before_kb, reloads[-1].rss_after_kb
    print(f"The master had {before_kb} kB before {len(reloads)} reloads and {after_kb} kB after them")
    assert abs(after_kb - before_kb) <= RSS_TOLERANCE * before_kb


def test_workers_are_as_many_as_before(recorded_run: RecordedRun) -> None:
    """A worker that is left over keeps its memory and its place in the database for ever."""
    assert recorded_run.workers_after == recorded_run.workers_before


def test_workers_are_recycled(recorded_run: RecordedRun) -> None:
    """With nothing else going on, each worker is replaced in its turn, under the same master and release."""
    step = recorded_run.step("recycling")
    assert step.main_pid_after == step.main_pid_before
    assert step.after.live == step.before.live
    assert step.before.serving & step.after.serving == {step.main_pid_after}


def test_the_new_certificate_is_shown(recorded_run: RecordedRun) -> None:
    """A renewal that nginx has not taken up is noticed on the day when the old certificate expires."""
    assert (
        recorded_run.step("certificate renewal").certificate != recorded_run.step("nginx reload").certificate
    )


def test_an_app_that_imports_for_three_seconds_answers_meanwhile(reloads_of_slow_app: Report) -> None:
    """With the stock worker nobody accepts from the reload on until the import is done."""
    assert reloads_of_slow_app.failed == 0, reloads_of_slow_app.failures
    for number in range(1, RELOADS_OF_SLOW_APP + 1):
        reload = reloads_of_slow_app.mark(f"reload {number}")
        assert reload["seconds"] > IMPORT_OF_SLOW_APP_SECONDS
        assert reload["longest_gap_milliseconds"] < reload["seconds"] * 1000 / 2
