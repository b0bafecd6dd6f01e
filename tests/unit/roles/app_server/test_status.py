"""The status files: a reader with more rights than the writer is not led astray, and sees whole files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from farrier_gunicorn import status

WORKER = status.WorkerStatus(pid=42, generation=2, release="r", state="ready", since=1.5)


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    """Of a master that has just started."""
    status.prepare(tmp_path)
    return tmp_path


def test_what_was_written_is_read(run_directory: Path) -> None:
    """By the release tool, the reload command and the operator."""
    failure = status.Failure(2, "r", 42, "import", "ImportError: x", 1.5, "Traceback")
    status.write(status.worker_path(run_directory, 42), WORKER)
    status.write(run_directory / "failure.json", failure)
    assert status.read_workers(run_directory) == [WORKER]
    assert status.read_failure(run_directory) == failure
    assert sorted(path.name for path in run_directory.rglob("*")) == ["42.json", "failure.json", "workers"]


def test_nothing_there_is_nothing_read(tmp_path: Path) -> None:
    """A service that does not run has no status."""
    assert status.read_master(tmp_path) is None
    assert status.read_failure(tmp_path) is None
    assert status.read_workers(tmp_path) == []


def test_new_master_begins_without_the_old_ones_files(run_directory: Path) -> None:
    """An earlier one may have been killed."""
    status.write(status.worker_path(run_directory, 42), WORKER)
    (run_directory / "master.json").write_text("{}")
    (run_directory / "failure.json").write_text("{}")
    status.prepare(run_directory)
    assert [path.name for path in run_directory.rglob("*")] == ["workers"]


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"pid": 42}', "\0", "1" * 300_000])
def test_damaged_file_counts_as_none(run_directory: Path, content: str) -> None:
    """The app's user can write what it likes there."""
    status.worker_path(run_directory, 42).write_text(content)
    assert status.read_workers(run_directory) == []


def test_unknown_fields_are_passed_over(run_directory: Path) -> None:
    """A newer writer must not blind an older reader, nor the other way round during an upgrade."""
    path = status.worker_path(run_directory, 42)
    status.write(path, WORKER)
    path.write_text(path.read_text().replace("{", '{"mood": "good", ', 1))
    assert status.read_workers(run_directory) == [WORKER]


def test_links_and_pipes_are_not_followed(run_directory: Path, tmp_path: Path) -> None:
    """Root reads these files: a link would show it another one's, a pipe would hold it for ever."""
    elsewhere = tmp_path / "elsewhere.json"
    status.write(elsewhere, WORKER)
    status.worker_path(run_directory, 42).symlink_to(elsewhere)
    os.mkfifo(status.worker_path(run_directory, 43))
    status.worker_path(run_directory, 44).mkdir()
    assert status.read_workers(run_directory) == []


def test_write_that_fails_leaves_the_old_file_and_no_other(run_directory: Path) -> None:
    """The disk may be full."""
    path = run_directory / "failure.json"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        status.write(path, WORKER)
    assert sorted(entry.name for entry in run_directory.iterdir()) == ["failure.json", "workers"]
