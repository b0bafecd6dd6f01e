"""The status files: a reader with more rights than the writer is not led astray, and sees whole files."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from datetime import datetime
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


MASTER = {
    "pid": 1,
    "started_at": 1.5,
    "release": "r",
    "python": "3.11.2",
    "executable": "/usr/bin/python3.11",
    "packages": {"gunicorn": "27.0.1"},
    "generation": 1,
    "workers": 2,
    "boot_timeout_seconds": 60,
}
FAILURE = {"generation": 2, "release": "r", "pid": 42, "phase": "import", "error": "E", "at": 1.5}
WRONG = ["x", -1, 1e300, float("inf"), float("nan"), 10**400, None, True, [], {}, {"a": 1}, [1], "[" * 99_999]


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize(
    ("name", "values"),
    [("master.json", MASTER), ("failure.json", FAILURE), ("workers/42.json", asdict(WORKER))],
)
def test_no_value_gets_further_than_the_reader(
    run_directory: Path, name: str, values: dict[str, object], value: object
) -> None:
    """Root compares, adds, sorts and prints what is read: of each field, only its type comes through."""
    kind = {
        "master.json": status.MasterStatus,
        "failure.json": status.Failure,
        "workers/42.json": status.WorkerStatus,
    }[name]
    for key in [field.name for field in fields(kind)]:
        (run_directory / name).write_text(json.dumps({**values, key: value}))
        read = {
            "master.json": status.read_master(run_directory),
            "failure.json": status.read_failure(run_directory),
            "workers/42.json": next(iter(status.read_workers(run_directory)), None),
        }[name]
        if read is None:
            continue
        found = getattr(read, key)
        assert found == value
        assert is_harmless(kind.__annotations__[key], found), key


def is_harmless(annotation: str, value: object) -> bool:
    """Whether a value is what its field says, and a time one that can be shown."""
    if annotation == "int":
        return type(value) is int and 0 <= value < 2**63
    if annotation == "float":
        return type(value) in (int, float) and bool(datetime.fromtimestamp(value))
    return {
        "str": lambda: isinstance(value, str),
        "bool": lambda: isinstance(value, bool),
        "str | None": lambda: value is None or isinstance(value, str),
        "int | None": lambda: value is None or is_harmless("int", value),
        "float | None": lambda: value is None or is_harmless("float", value),
        "WorkerState": lambda: value in ("booting", "ready", "draining"),
        "dict[str, str]": lambda: isinstance(value, dict) and all(isinstance(v, str) for v in value.values()),
        "list[str]": lambda: isinstance(value, list) and all(isinstance(v, str) for v in value),
    }[annotation]()


def test_a_text_can_be_printed(run_directory: Path) -> None:
    """A path that is no UTF-8 gets into a traceback, and JSON takes it."""
    status.write(run_directory / "failure.json", status.Failure(2, "r", 42, "import", "x\udcff", 1.5))
    assert status.read_failure(run_directory).error.encode() == b"x\\udcff"


@pytest.mark.parametrize("name", ["master.json", "failure.json", "workers/42.json"])
def test_nesting_counts_as_damage(run_directory: Path, name: str) -> None:
    """Python's reader gives up on it in a way of its own."""
    (run_directory / name).write_text("[" * 200_000)
    assert status.read_master(run_directory) is None
    assert status.read_failure(run_directory) is None
    assert status.read_workers(run_directory) == []


def test_a_name_that_no_process_has_is_passed_over(run_directory: Path) -> None:
    """The app's user can make files of any name there, and as many as it likes."""
    status.write(status.worker_path(run_directory, 42), WORKER)
    for name in ("1" * 200 + ".json", "42x.json", "7\n.json"):
        (run_directory / "workers" / name).write_text(json.dumps(asdict(WORKER)))
    assert status.read_workers(run_directory) == [WORKER]
