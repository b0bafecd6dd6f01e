"""Files that the application's user may have forged: no content keeps root's tool from its work."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from farrier_release.__main__ import main
from farrier_release.storage import read_json
from farrier_release.text import printable

from tests.unit.roles.release.conftest import Run, make_live, request
from tests.unit.roles.release.machine import FakeHost

LIVE = "20260103T000000Z-v3"
HOSTILE = {
    "nested lists": '{"a":' + "[" * 100_000,
    "closed nested lists": '{"a":' + "[" * 900 + "]" * 900 + "}",
    "nested objects": '{"a":' * 100_000,
    "no number": '{"a": NaN}',
    "an infinite number": '{"a": -Infinity}',
    "a number that becomes infinite": '{"a": 1e999}',
    "a number without end": '{"a": ' + "9" * 100_000 + "}",
    "a number of more than 64 bits": '{"a": 18446744073709551616}',
    "half a document": '{"a": ',
    "not text": "\xff\xfe\x00",
    "a list": "[1]",
    "too much": '{"a": "' + "x" * 2_000_000 + '"}',
    "nothing": "",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_object_of_ours_is_no_file(tmp_path: Path, content: str) -> None:
    """And never an exception."""
    (tmp_path / "file").write_text(content, encoding="latin-1")
    assert read_json(tmp_path / "file") is None


def test_what_is_as_it_should_be_is_read(tmp_path: Path) -> None:
    """Numbers, texts, and as deep as anything that is written here."""
    data = {"a": [{"b": [1, -2.5, 2**63 - 1, None, True, "\u00e9"]}]}
    (tmp_path / "file").write_text(json.dumps(data))
    assert read_json(tmp_path / "file") == data


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_compromised_application_does_not_hold_up_the_next_deploy(
    run: Run, host: FakeHost, content: str
) -> None:
    """Whatever its user has written over all that the server says."""
    make_live(host, LIVE)
    directory = host.configuration.run_directory
    for path in (directory / "master.json", directory / "failure.json", *(directory / "workers").iterdir()):
        path.write_text(content, encoding="latin-1")
    assert run("status")[0] == 0
    code, result = run("begin", "--request", request())
    assert (code, result["new"]) == (0, True)


@pytest.mark.parametrize(
    "value",
    [1e300, -1e300, 2**62, -1, True, None, [[1]], {"a": 1}, "\x1b[2J\ud800", "\u202etxt", "a\nTLS  fine"],
)
def test_values_that_nobody_expects(
    run: Run, host: FakeHost, value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """In any field; and nothing of it reaches a terminal as anything but text."""
    make_live(host, LIVE)
    directory = host.configuration.run_directory
    for path in (directory / "master.json", directory / "workers" / f"{os.getpid()}.json"):
        keys = (*json.loads(path.read_text()), "since", "release", "state", "workers")
        path.write_text(json.dumps(dict.fromkeys(keys, value)))
    assert run("status")[0] == 0
    assert (
        main(["--app", "test", "status"], host=host, configuration_directory=host.configuration_directory)
        == 0
    )
    shown = capsys.readouterr().out
    assert not {"\x1b", "\u202e", "\ud800"} & set(shown)
    assert not any(line.startswith("TLS") for line in shown.splitlines())


def test_a_text_for_a_terminal() -> None:
    """Colours go; what else a terminal would obey is written out; everything else stays."""
    assert printable("\x1b[1;31mr\u00e9d\x1b[0m\ttab\nline") == "r\u00e9d\ttab\nline"
    assert printable("\x1b]0;title\x07 \x9b2J \r\u202e\udcff") == r"\x1b]0;title\x07 \x9b2J \r\u202e\udcff"
