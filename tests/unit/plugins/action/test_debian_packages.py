"""Packages are asked of apt only when dpkg does not have them."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

# Says of each package what the test's file says, as dpkg-query does.
DPKG_QUERY = """#!/bin/sh
shift 2
for package; do grep "^$package " {directory}/dpkg || status=1; done
exit ${{status:-0}}
"""


@pytest.fixture
def ask(
    load_plugin: Callable[[str, str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[list[str]], tuple[dict[str, Any], list[Any]]]:
    """Return a function that wants packages of a host, and returns the result and what apt was asked for.

    The host has nginx and openssl; of logrotate only its settings are left.
    """
    (tmp_path / "dpkg-query").write_text(DPKG_QUERY.format(directory=tmp_path))
    (tmp_path / "dpkg-query").chmod(0o755)
    (tmp_path / "dpkg").write_text("nginx installed\nopenssl installed\nlogrotate config-files\n")
    plugin = load_plugin("action", "debian_packages")
    monkeypatch.setattr(ActionBase, "run", lambda *_: {})

    def on_host(command: str) -> dict[str, str]:
        assert shlex.split(command)[0] == "dpkg-query"
        run = subprocess.run(f"{tmp_path}/{command}", shell=True, capture_output=True, text=True, check=False)
        return {"stdout": run.stdout}

    def asking(names: list[str]) -> tuple[dict[str, Any], list[Any]]:
        asked: list[Any] = []
        action = plugin.ActionModule.__new__(plugin.ActionModule)
        action._task = SimpleNamespace(args={"name": names, "install_recommends": False})
        action._low_level_execute_command = on_host
        action._execute_module = lambda *arguments: asked.append(arguments[:2]) or {"changed": True}
        return action.run(), asked

    return asking


@pytest.mark.parametrize("names", [["nginx", "openssl"], ["openssl"], []])
def test_apt_is_not_asked_for_what_is_there(ask: Callable[..., Any], names: list[str]) -> None:
    """It would take most of a second, in each run."""
    assert ask(names) == ({"changed": False}, [])


@pytest.mark.parametrize("names", [["nginx", "certbot"], ["nginx", "logrotate"], ["ngin"]])
def test_apt_is_asked_as_the_task_says_when_one_is_missing(ask: Callable[..., Any], names: list[str]) -> None:
    """A package that was removed has left its settings behind, and is not there."""
    arguments = {"name": names, "install_recommends": False}
    assert ask(names) == ({"changed": True}, [("ansible.builtin.apt", arguments)])
