"""Shared parts of the plugin tests: load a plugin as Ansible does, by its file; run a playbook with them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = ROOT / "plugins"

ANSIBLE_CFG = f"""
[defaults]
inventory = hosts.yml
action_plugins = {PLUGINS}/action
filter_plugins = {PLUGINS}/filter
callback_plugins = {PLUGINS}/callback
strategy_plugins = {PLUGINS}/strategy
module_utils = {PLUGINS}/module_utils
stdout_callback = default
strategy = farrier
deprecation_warnings = false
interpreter_python = {sys.executable}
localhost_warning = false
inventory_unparsed_warning = false
"""


LOCALHOST = "all: {hosts: {localhost: {}}}\n"


@pytest.fixture
def load_plugin() -> Callable[[str, str], ModuleType]:
    """Return a function that imports plugins/KIND/NAME.py afresh."""

    def load(kind: str, name: str) -> ModuleType:
        path = PLUGINS / kind / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"plugin_under_test_{kind}_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

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
