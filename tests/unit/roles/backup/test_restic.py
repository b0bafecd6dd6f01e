"""What restic, rclone and ssh say becomes what an operator can act on, and none of them tries without end."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import pytest
from farrier_backup import restic
from farrier_backup.settings import Settings

SETTINGS = Settings("web1", "backup@192.0.2.1", 22, {"shop": ""}, max_age_hours=36, proof_max_age_hours=192)
RETRY = "Save(<data/dc>) returned error, retrying after 720ms: 500 Internal Server Error"
# Of restic 0.14 and 0.18.
COMPLAINTS = {
    "rclone: ssh: connect to host 192.0.2.1 port 22: Connection refused\n"
    "Fatal: unable to open repository at rclone:repository: error talking HTTP to rclone: exit status 255": (
        "the backup host does not answer (ssh: connect to host 192.0.2.1 port 22: Connection refused)"
    ),
    "Fatal: wrong password or no key found": (
        "backup_passphrase does not open the repository (wrong password or no key found)"
    ),
    '{"message_type":"exit_error","code":12,"message":"Fatal: wrong password or no key found"}': (
        "backup_passphrase does not open the repository (wrong password or no key found)"
    ),
    "rclone: x@192.0.2.1: Permission denied (publickey).\n"
    "Fatal: error talking HTTP to rclone: exit status 255": (
        "the backup host does not accept the key of this host (x@192.0.2.1: Permission denied (publickey))"
    ),
    "rclone: Host key verification failed.\nFatal: error talking HTTP to rclone: exit status 255": (
        "the backup host has another host key than the one that site.yml has seen"
        " (Host key verification failed)"
    ),
    "rclone: 2026/11/27 19:02:33 ERROR : data/dc/dc: Post request put error: preallocate: file too big for"
    " remaining disk space\nFatal: unable to save snapshot: 403 Forbidden": (
        "the disk of the backup host is full (data/dc/dc: Post request put error: preallocate: file too big"
        " for remaining disk space)"
    ),
    '{"message_type":"exit_error","code":10,"message":"Fatal: repository does not exist: unable to open'
    ' config file\\nIs there a repository at the following location?"}': (
        "the repository is not on the backup host (repository does not exist: unable to open config file)"
    ),
    "Fatal: something new": "restic failed: something new",
    "": "restic failed: it said nothing",
}


@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_a_complaint_has_a_cause(complaint: str) -> None:
    """With the words of the program that knew it."""
    assert restic.meaning(complaint).what == COMPLAINTS[complaint]


def test_what_ssh_says_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """restic loses it when ssh ends at once and the machine is busy."""
    for name, script in {
        "ssh": 'echo "ssh: connect to host 192.0.2.1 port 22: Connection refused" >>"${1#-E}"; exit 255',
        "restic": 'sh -c "${1#--option=rclone.program=}"; echo Fatal: context canceled >&2; exit 1',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(restic.BackupError, match="the backup host does not answer"):
        restic.Restic(SETTINGS, tmp_path).call("snapshots")


def test_output_is_what_it_printed() -> None:
    """Both streams, and the exit code."""
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert restic.watched([sys.executable, "-c", code]) == (3, "out\n", "err\n")


def test_no_output_is_too_long() -> None:
    """A long backup says at length how far it is."""
    code = "import sys; print('out' * 100_000); print('err' * 100_000, file=sys.stderr)"
    _, stdout, stderr = restic.watched([sys.executable, "-c", code])
    assert (len(stdout), len(stderr)) == (300_001, 300_001)


def test_one_that_tries_the_same_for_too_long_is_ended() -> None:
    """As on a full disk: restic would go on for a quarter of an hour."""
    code = (
        f"import sys, time\nfor _ in range(9): print({RETRY!r}, file=sys.stderr, flush=True)\ntime.sleep(600)"
    )
    clock = itertools.count(step=30.0)
    began = time.monotonic()
    status, _, said = restic.watched([sys.executable, "-c", code], clock.__next__)
    assert status != 0
    assert said.startswith(RETRY)
    assert time.monotonic() - began < 60


def test_errors_that_pass_end_nothing() -> None:
    """A long backup over a bad line has one now and then."""
    code = f"import sys\nfor _ in range(9): print({RETRY!r}, file=sys.stderr)"
    clock = itertools.count(step=600.0)
    assert restic.watched([sys.executable, "-c", code], clock.__next__)[0] == 0
