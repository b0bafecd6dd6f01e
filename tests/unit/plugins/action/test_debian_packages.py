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

    The host has nginx and openssl; of logrotate only its settings are left. `holders` are what it says of its
    locks, one time after the other.
    """
    (tmp_path / "dpkg-query").write_text(DPKG_QUERY.format(directory=tmp_path))
    (tmp_path / "dpkg-query").chmod(0o755)
    (tmp_path / "dpkg").write_text(
        "nginx installed\nopenssl installed\nlogrotate config-files\npython3-apt installed\n"
    )
    plugin = load_plugin("action", "debian_packages")
    monkeypatch.setattr(ActionBase, "run", lambda *_: {})

    monkeypatch.setattr(plugin, "RECORD", str(tmp_path / "record"))

    def on_host(command: str) -> dict[str, str]:
        assert shlex.split(command)[0] in ("dpkg-query", "printf")
        command = command.replace("dpkg-query", f"{tmp_path}/dpkg-query", 1)
        run = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        return {"stdout": run.stdout}

    def asking(
        names: list[str], *holders: str, check_mode: bool = False, fails: str = "", **arguments: Any
    ) -> tuple[dict[str, Any], list[Any]]:
        asked: list[Any] = []
        locks = iter([*holders, ""])

        def execute(module: str, given: dict[str, Any], **_: Any) -> dict[str, Any]:
            if module == "farrier.kit.apt_packages" and "name" not in given:
                return {"changed": False, "holder": next(locks)}
            asked.append((module, given))
            return {"failed": True, "msg": fails} if fails else {"changed": True}

        action = plugin.ActionModule.__new__(plugin.ActionModule)
        given = {"name": names, "install_recommends": False, "lock_timeout": 30, **arguments}
        action._task = SimpleNamespace(args=given, check_mode=check_mode)
        action._low_level_execute_command = on_host
        action._execute_module = execute
        return action.run(), asked

    return asking


@pytest.mark.parametrize("names", [["nginx", "openssl"], ["openssl"], []])
def test_apt_is_not_asked_for_what_is_there(ask: Callable[..., Any], names: list[str]) -> None:
    """It would take most of a second, in each run."""
    assert ask(names) == ({"changed": False}, [])


@pytest.mark.parametrize("names", [["nginx", "certbot"], ["nginx", "logrotate"], ["ngin"]])
def test_apt_is_asked_as_the_task_says_when_one_is_missing(ask: Callable[..., Any], names: list[str]) -> None:
    """A package that was removed has left its settings behind, and is not there."""
    arguments = {"name": names, "install_recommends": False, "lock_timeout": 30}
    assert ask(names) == ({"changed": True}, [("ansible.builtin.apt", arguments)])


def test_a_package_that_debian_lacks_is_told_by_app(ask: Callable[..., Any]) -> None:
    """apt knows nothing of the inventory that has to be corrected."""
    result, asked = ask(["libpongo"], app="shop", fails="No package matching 'libpongo' is available")
    assert result["msg"].startswith(
        "app shop: packages: No package matching 'libpongo' is available. Correct"
    )
    assert "app" not in asked[0][1]


@pytest.mark.parametrize(
    ("names", "record", "expected"),
    [
        (["certbot", "nginx"], "", "shop needs certbot\n"),
        (["nginx"], "blog needs nginx\n", "blog needs nginx\nshop needs nginx\n"),
        (["nginx"], "shop needs nginx\n", "shop needs nginx\n"),
        (["nginx"], "", ""),
    ],
    ids=["brought", "brought for another", "known", "there before"],
)
def test_what_is_brought_for_an_app_is_on_record(
    ask: Callable[..., Any], tmp_path: Path, names: list[str], record: str, expected: str
) -> None:
    """The last app that needs a package takes it away with it; what was there before stays."""
    (tmp_path / "record").write_text(record)
    ask(names, app="shop", check_mode=True)
    assert (tmp_path / "record").read_text() == record
    ask(names, app="shop")
    assert (tmp_path / "record").read_text() == expected


def test_check_mode_installs_nothing_and_needs_nothing(ask: Callable[..., Any]) -> None:
    """Not even what apt's module needs, which refuses check mode without it."""
    result, asked = ask(["nginx", "certbot"], check_mode=True)
    assert (result["changed"], result["msg"], asked) == (True, "would install certbot", [])


def test_a_host_that_lacks_python3_apt_gets_all_at_once(ask: Callable[..., Any], tmp_path: Path) -> None:
    """Services that are to be configured first come along, and are not started."""
    (tmp_path / "dpkg").write_text("openssl installed\n")
    _, asked = ask(["openssl", "curl"], unstarted_services=["nginx"])
    wanted = {"name": ["python3-apt", "openssl", "curl"], "unstarted_services": ["nginx"]}
    assert asked == [("farrier.kit.apt_packages", wanted)]


def test_whoever_has_the_locks_is_named_and_waited_for(
    ask: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A fresh machine upgrades itself at first, and the operator looks at a run that stands still."""
    result, asked = ask(["certbot"], "unattended-upgr (pid 7), which holds /lock")
    assert (result["changed"], len(asked)) == (True, 1)
    assert "waiting for unattended-upgr (pid 7), which holds /lock, at most 30 s" in capsys.readouterr().out


def test_the_wait_has_an_end(ask: Callable[..., Any]) -> None:
    """With the process and the variable."""
    result, asked = ask(["certbot"], "apt (pid 7)", "apt (pid 7)")
    assert result["failed"]
    assert "has been blocked for 30 s by apt (pid 7)" in result["msg"]
    assert "base_apt_lock_timeout_seconds" in result["msg"]
    assert asked == []
