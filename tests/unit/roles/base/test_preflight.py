"""What the role base refuses before it changes anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from tests.unit.playbooks import run_in

ROLE = Path(__file__).resolve().parents[4] / "roles/base"
USERS = [{"name": "shop"}, {"name": "shop-build"}]


@pytest.mark.parametrize(
    ("status", "homes", "is_asked", "is_refused"),
    [
        (226, {"root": "/root"}, True, True),
        (0, {"root": "/root"}, True, False),
        (226, {"shop": "/var/lib/farrier/shop"}, False, False),
    ],
    ids=["cannot", "can", "has apps"],
)
def test_a_host_that_cannot_confine_a_service(
    tmp_path: Path, status: int, homes: dict[str, str], is_asked: bool, is_refused: bool
) -> None:
    """Such as an unprivileged container: each unit of an app would fail with 226/NAMESPACE."""
    program = tmp_path / "systemd-run"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\nexit {status}\n')
    program.chmod(0o755)
    tasks = yaml.safe_load((ROLE / "tasks/preflight.yml").read_text())
    play = {
        "name": "Check a host",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(ROLE / "vars/main.yml")],
        "vars": {"base_service_users": USERS},
        "tasks": [
            {
                "name": "Set the facts",
                "ansible.builtin.set_fact": {"farrier_host": {"homes": homes}, "cacheable": True},
            },
            *(task for task in tasks if "confine" in task["name"]),
        ],
    }
    run = run_in(tmp_path, yaml.safe_dump([play]), PATH=f"{tmp_path}:{os.environ['PATH']}")
    asked = tmp_path / "asked"
    assert (asked.exists(), run.returncode != 0) == (is_asked, is_refused), run.stdout + run.stderr
    if is_asked:
        assert "--property=PrivateUsers=yes" in asked.read_text()
    if is_refused:
        for text in ("226 NAMESPACE", "pct set ID --features nesting=1", "Nothing was changed"):
            assert text in " ".join(run.stdout.split())
