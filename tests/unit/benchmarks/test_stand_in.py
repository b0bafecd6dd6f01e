"""Hosts that take their time and no processor answer as recorded ones did, and refuse all else."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.away import Answer, Call, RecordError, answers, inventory
from tests.benchmarks.remote import ROOT

TOKEN = ("--token", "abc")


@pytest.fixture
def played(tmp_path: Path) -> Path:
    """A directory of answers: `begin` returns at once, `prepare` starts a run of a second."""
    begin = Answer(0.0, {"new": True, "token": "abc"})
    prepare = Answer(0.0, {}, 1.0, {"changed": True, "lines": ["it's done"], "how": "reload"})
    (tmp_path / "begin").write_text(begin.text())
    (tmp_path / "prepare").write_text(prepare.text())
    (tmp_path / "offer").write_text(Answer(0.0, {"offered": True}).text())
    (tmp_path / "offer.output").write_bytes(b"\x00index")
    return tmp_path


def call(played: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call the stand-in as the controller calls the tool."""
    return subprocess.run(
        [ROOT / "tests/benchmarks/stand_in.sh", *arguments],
        env={**os.environ, "STAND_IN": str(played)},
        capture_output=True,
        text=True,
        check=False,
    )


def answer(played: Path, *arguments: str) -> dict[str, Any]:
    """Return what it answers."""
    done = call(played, "--app", "demo", *arguments)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_run_is_followed_to_its_end(played: Path) -> None:
    """It ends a second after its start, whoever asks for it and when."""
    assert answer(played, "begin", "--json", "--request", "{}") == {"new": True, "token": "abc"}
    began = time.monotonic()
    started = answer(played, "prepare", "--json", *TOKEN, "--migrate")
    assert started["running"]
    assert time.monotonic() - began < 0.9
    follow = ("follow", "--json", "--order", started["order"], "--offset", "0")
    assert answer(played, *follow) == {"changed": True, "lines": ["it's done"], "how": "reload"}
    assert time.monotonic() - began > 0.9
    began = time.monotonic()
    answer(played, *follow)
    assert time.monotonic() - began < 0.9


def test_a_phase_writes_its_file(played: Path, tmp_path: Path) -> None:
    """Bytes of the recorded one."""
    answer(played, "offer", "--json", *TOKEN, "--output", str(tmp_path / "index"))
    assert (tmp_path / "index").read_bytes() == b"\x00index"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--app", "demo", "rollback", "--json"),
        ("--app", "demo", "begin", "--check", "--request", "{}"),
        ("--app", "demo", "begin", "--gone", "abc"),
        ("--app", "demo", "follow", "--order", "activate.12"),
        ("--app", "demo"),
        ("begin", "--app", "demo"),
        (),
    ],
)
def test_what_it_does_not_know_fails(played: Path, arguments: tuple[str, ...]) -> None:
    """Without an answer, and with the call in the message."""
    done = call(played, *arguments)
    assert done.returncode == 64
    assert not done.stdout
    assert done.stderr.startswith("stand-in: ")
    assert " ".join(arguments) in done.stderr


def recorded(arguments: str, began_at: float, seconds: float, **result: Any) -> Call:
    """A call as the recorder keeps it."""
    return {
        "arguments": ["--app", "demo", *arguments.split()],
        "began_at": began_at,
        "seconds": seconds,
        "stdout": json.dumps(result),
    }


def test_answers_of_what_was_recorded() -> None:
    """A run goes on from the end of the call that started it to the end of the last that followed it."""
    host = [
        recorded("begin --check", 9.0, 0.2, new=True, token="a"),
        recorded("begin", 10.0, 0.25, new=True, token="b"),
        recorded("activate", 11.0, 0.5, running=True, order="x"),
        recorded("follow --order x", 12.0, 10.0, running=True, order="x"),
        recorded("follow --order x", 23.0, 0.5, how="reload"),
    ]
    other = [recorded("begin", 10.0, 0.75, new=True, token="c")]
    assert answers([host, other]) == {
        "begin-check": Answer(0.2, {"new": True, "token": "a"}),
        "begin": Answer(0.25, {"new": True, "token": "c"}),
        "activate": Answer(0.5, {}, 12.0, {"how": "reload"}),
    }


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (recorded("begin", 1.0, 1.0, failed=True, message="no space"), "begin has failed: no space"),
        (recorded("activate", 1.0, 1.0, running=True, order="x"), "not ended: activate"),
    ],
)
def test_failures_are_not_played(call: Call, reason: str) -> None:
    """A deploy that breaks off is quicker than one that does not."""
    with pytest.raises(RecordError, match=reason):
        answers([[call]])


def test_every_host_has_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """So each has a connection of its own, as Ansible names them by address."""
    monkeypatch.setattr("tests.benchmarks.away.Remote.address", lambda _: "10.77.77.109")
    hosts = inventory(1000)["all"]["children"]["app"]["hosts"]
    assert len({host["ansible_host"] for host in hosts.values()}) == 1000
