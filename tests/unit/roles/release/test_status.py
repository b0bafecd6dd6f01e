"""status and log: what an operator, or a program, reads."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import pytest
from farrier_release import audit
from farrier_release.__main__ import main
from farrier_release.status import days_until
from farrier_release.storage import write_json

from tests.unit.roles.release.conftest import Run, add_release, make_live
from tests.unit.roles.release.machine import FakeHost

LIVE = "20260103T000000Z-v3"


def test_nothing_is_live(run: Run) -> None:
    """Before the first deploy."""
    status = run("status")[1]
    assert (status["live"], status["problem"], status["releases"]) == (None, "nothing is live", [])


def test_what_is_live(run: Run, host: FakeHost) -> None:
    """Release, since when, workers, service."""
    make_live(host, LIVE, activated_at=0.0, activated_by="ann", version="v3")
    status = run("status")[1]
    assert (status["live"], status["version"], status["by"]) == (LIVE, "v3", "ann")
    assert [worker["release"] for worker in status["workers"]] == [LIVE]
    assert status["workers"][0]["since"].endswith("Z")
    assert status["service"]["active"] is True
    assert status["releases"] == [{"id": LIVE, "good": True, "live": True, "in_use": True}]


def test_a_release_whose_worker_is_draining_is_in_use(run: Run, host: FakeHost) -> None:
    """It imports as late as it likes, and serves files to its last request: nobody prunes under it."""
    for number in range(1, 8):
        add_release(host.configuration, f"2025010{number}T000000Z-v{number}", verified_at=1.0)
    make_live(host, LIVE)
    draining = {"release": "20250102T000000Z-v2", "state": "draining", "since": 1.0}
    write_json(host.configuration.run_directory / "workers" / f"{os.getppid()}.json", draining)
    assert run("finish")[1]["removed"] == ["20250101T000000Z-v1", "20250103T000000Z-v3"]
    found = {release["id"]: release["in_use"] for release in run("status")[1]["releases"]}
    assert [name for name, in_use in found.items() if in_use] == [LIVE, "20250102T000000Z-v2"]


def test_a_service_that_is_down_is_a_problem(run: Run, host: FakeHost) -> None:
    """The symlink alone says nothing."""
    make_live(host, LIVE)
    host.systemctl("stop", "test.service")
    assert run("status")[1]["problem"] == "test.service is not running"


def test_workers_of_another_release_are_a_problem(run: Run, host: FakeHost) -> None:
    """As after a symlink that somebody moved by hand."""
    make_live(host, LIVE)
    host.behaviours.clear()
    host.configuration.current.unlink()
    host.configuration.current.symlink_to("releases/20260104T000000Z-v4")
    assert (
        "0 of 1 workers serve 20260104T000000Z-v4, others 20260103T000000Z-v3" in run("status")[1]["problem"]
    )


def test_the_log_survives_a_torn_line(run: Run, host: FakeHost) -> None:
    """A power loss in the middle of a write."""
    audit.record(host.configuration, {"what": "deploy", "to": "a"})
    with (host.configuration.log_directory / "deploys.jsonl").open("a") as file:
        file.write('{"what": "dep\n')
    audit.record(host.configuration, {"what": "deploy", "to": "b"})
    assert [entry["to"] for entry in run("log")[1]["attempts"]] == ["a", "b"]
    assert [entry["to"] for entry in run("log", "--lines", "1")[1]["attempts"]] == ["b"]


def test_people_get_text(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json: the message, and in a failure what to do next."""
    code = main(
        ["--app", "test", "rollback"], host=host, configuration_directory=host.configuration_directory
    )
    output = capsys.readouterr()
    assert code == 2
    assert output.out == ""
    assert "rollback failed: The release before nothing" in output.err
    assert "Next: deploy a good version" in output.err
    make_live(host, LIVE)
    main(["--app", "test", "status"], host=host, configuration_directory=host.configuration_directory)
    assert capsys.readouterr().out.startswith(f"test: {LIVE}\n")
    main(["--app", "test", "finish"], host=host, configuration_directory=host.configuration_directory)
    assert capsys.readouterr().out == "test: 0 old release(s) removed.\n"


def test_an_unknown_application_is_one_json_document_too(
    host: FakeHost, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever goes wrong, the caller can decode it."""
    code = main(
        ["--app", "tset", "status", "--json"], host=host, configuration_directory=host.configuration_directory
    )
    result = json.loads(capsys.readouterr().out)
    assert code == 4
    assert "It has: test" in result["message"]


@pytest.mark.parametrize(
    ("moment", "days"),
    [("2026-01-15T12:00:00Z", 14), ("2026-01-15T11:59:59Z", 13), ("2025-12-31T12:00:00Z", -1)],
)
def test_days_that_a_certificate_has_left(moment: str, days: int) -> None:
    """Whole days: an alarm comes rather too early."""
    assert days_until(moment, datetime(2026, 1, 1, 12, tzinfo=UTC)) == days
