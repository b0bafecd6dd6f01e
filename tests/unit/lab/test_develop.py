"""What `make develop` refuses before anything changes."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path

import pytest

from lab import develop
from lab.working_tree import NotFoundError

APP = "from fastapi import FastAPI\n\napp = FastAPI()\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with a working tree, `shop`, on a machine that has all tools."""
    for name in ("podman", "mkcert", "lab/podman"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\nexit 1\n")
        program.chmod(0o755)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/main.py").write_text(APP)
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setattr(develop, "LAB", tmp_path / "bin/lab")
    monkeypatch.setattr(develop, "DIRECTORY", tmp_path / "develop")
    monkeypatch.setattr(develop, "HOSTS_FILE", tmp_path / "hosts")
    monkeypatch.setattr(develop, "PORTS", ())
    return tmp_path


def prepared(tree: Path) -> dict[str, object]:
    """Call it as the command line without options does."""
    return develop.prepared(argparse.Namespace(app=str(tree), module="", inventory="", name=""))


def refusal(tree: Path) -> str:
    """Return why it refuses."""
    with pytest.raises(NotFoundError) as caught:
        prepared(tree)
    return str(caught.value)


def test_a_working_tree_is_taken_as_it_is(machine: Path) -> None:
    """With the ids of its owner, which the app's user gets."""
    owner = (machine / "shop").stat()
    found = prepared(machine / "shop")
    assert (found["uid"], found["gid"], found["root"]) == (owner.st_uid, owner.st_gid, "")


def test_no_directory(machine: Path) -> None:
    """A mistyped path."""
    assert refusal(machine / "shpo").endswith("shpo is not a directory. Say which one: APP=path")


@pytest.mark.parametrize("tool", ["podman", "mkcert"])
def test_a_missing_tool(machine: Path, monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    """Its purpose is named."""
    (machine / "bin" / tool).unlink()
    monkeypatch.setenv("PATH", f"{machine}/bin")
    assert refusal(machine / "shop").startswith(f"{tool} is missing, which ")


def test_another_one_runs(machine: Path) -> None:
    """Or was killed, and has left a part."""
    develop.DIRECTORY.mkdir()
    assert "`make develop-stop` ends it" in refusal(machine / "shop")


def test_the_address_is_in_use(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a machine that answers there."""
    inventory = machine / "inventory"
    inventory.mkdir()
    (inventory / "hosts.yml").write_text(
        "all: {children: {lab: {hosts: {develop: {ansible_host: 127.0.0.1}}}}}"
    )
    monkeypatch.setattr(develop, "INVENTORY", inventory)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(develop, "PORTS", (port,))
        assert f"127.0.0.1, the address of the lab host, is in use: port {port} answers" in refusal(
            machine / "shop"
        )


def test_the_name_is_in_use(machine: Path) -> None:
    """Whoever wrote it must know."""
    develop.HOSTS_FILE.write_text("192.0.2.1 shop.develop.test  # mine\n")
    assert "shop.develop.test is in /etc/hosts already: 192.0.2.1" in refusal(machine / "shop")
