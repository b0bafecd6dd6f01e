"""The log of all attempts: it tells about a deploy, and never decides about it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from farrier_release import audit

from tests.unit.roles.release.conftest import Run, make_live
from tests.unit.roles.release.machine import FakeHost

LIVE = "20260103T000000Z-v3"


@pytest.fixture
def full(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log on a full disk."""

    def write(descriptor: int, line: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write)
    return host.configuration.log_directory / "deploys.jsonl"


def test_a_full_disk_is_said(full: Path, host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    """What was attempted has happened all the same."""
    audit.record(host.configuration, {"what": "deploy"})
    assert f"test: {full} could not be written: [Errno 28] No space left on device" in capsys.readouterr().err


def test_a_disk_that_is_full_in_the_middle_of_a_line(
    host: FakeHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next line does not end up in the torn one."""
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:9]))
        audit.record(host.configuration, {"what": "deploy", "to": "a"})
    assert "No space left on device" in capsys.readouterr().err
    audit.record(host.configuration, {"what": "deploy", "to": "b"})
    assert [entry["to"] for entry in audit.last(host.configuration, 9)] == ["b"]


def test_a_log_directory_that_cannot_be_made(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    """Something else is in its place."""
    host.configuration.log_directory.write_text("")
    audit.record(host.configuration, {"what": "deploy"})
    assert "could not be written" in capsys.readouterr().err


def test_a_lease_can_be_dropped_without_a_log(run: Run, full: Path, host: FakeHost) -> None:
    """A full /var/log holds up no deploy."""
    make_live(host, LIVE)
    (host.configuration.lock_directory / "test.lease.json").write_text(
        '{"token": "t", "what": "deploy", "who": "ann", "owner": {}, "release": "20260104T000000Z-v4",'
        f' "origin": "{LIVE}", "begun_at": 0, "renewed_at": 0}}'
    )
    code, result = run("unlock", "--force")
    assert (code, result["changed"]) == (0, True)
    assert run("status")[1]["lease"] is None
