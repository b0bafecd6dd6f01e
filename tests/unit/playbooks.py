"""Shared parts of the plugin tests: load a plugin as Ansible does, by its name; run a playbook with them."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

ANSIBLE_CFG = f"""
[defaults]
inventory = hosts.yml
collections_path = {ROOT}/collections
stdout_callback = default
strategy = farrier.kit.farrier
interpreter_python = {sys.executable}
localhost_warning = false
inventory_unparsed_warning = false
"""


LOCALHOST = "all: {hosts: {localhost: {}}}\n"


@pytest.fixture
def load_plugin() -> Callable[[str, str], ModuleType]:
    """Return a function that imports plugins/KIND/NAME.py afresh."""

    def load(kind: str, name: str) -> ModuleType:
        full_name = f"ansible_collections.farrier.kit.plugins.{kind}.{name}"
        sys.modules.pop(full_name, None)
        return importlib.import_module(full_name)

    return load


Run = subprocess.CompletedProcess[str]
Play = Callable[..., Run]


def run_in(
    directory: Path, playbook: str, *arguments: str, hosts: str = LOCALHOST, **environment: str
) -> Run:
    """Run a playbook's text with the project's plugins in a directory of its own."""
    (directory / "ansible.cfg").write_text(ANSIBLE_CFG)
    (directory / "hosts.yml").write_text(hosts)
    (directory / "play.yml").write_text(playbook)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "FARRIER_"))}
    own = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(directory / "home")}
    return subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "play.yml", *arguments],
        cwd=directory,
        env={**clean, **own, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def run_playbook(tmp_path: Path) -> Play:
    """Return `run_in` for the directory of the test."""
    return partial(run_in, tmp_path)
