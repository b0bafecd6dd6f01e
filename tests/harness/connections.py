"""One SSH connection to each host of the lab that stays open between the commands of a test run."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import testinfra
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[2]
SSH_CONFIG = ROOT / "build/lab/ssh_config"
PERSIST_SECONDS = 60


@functools.cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    # Of this process alone: connections of an earlier run lead to hosts that are gone.
    return tempfile.TemporaryDirectory(prefix="farrier-ssh-")


def _socket(name: str) -> str:
    return f"{_directory().name}/{name}"


def reached(name: str) -> Host:
    """A host of the lab, as root."""
    return testinfra.get_host(
        f"ssh://{name}?sudo=true",
        ssh_config=str(SSH_CONFIG),
        controlpath=_socket(name),
        controlpersist=PERSIST_SECONDS,
    )


def ssh(name: str, command: str) -> list[str]:
    """The command line that runs a command on a host of the lab, as its SSH user."""
    options = ("ControlMaster=auto", f"ControlPersist={PERSIST_SECONDS}", f"ControlPath={_socket(name)}")
    return ["ssh", "-F", str(SSH_CONFIG), *(f"-o{option}" for option in options), name, command]


def hang_up(name: str) -> None:
    """Close the connection to a host, which nobody would notice to be dead when the host is switched off."""
    subprocess.run(
        ["ssh", "-F", str(SSH_CONFIG), f"-oControlPath={_socket(name)}", "-O", "exit", name],
        check=False,
        capture_output=True,
    )


def local_ports(address: str) -> set[int]:
    """The ports of this machine that SSH connections to an address come from."""
    command = ["ss", "-Htn", "state", "established", "dst", address, "dport", "=", ":22"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return {int(line.split()[2].rpartition(":")[2]) for line in lines}


@contextmanager
def forgotten(address: str, ports: set[int]) -> Iterator[None]:
    """Drop every packet of these connections, both ways, as a network does that has forgotten them."""
    rules = [
        [chain, "--protocol", "tcp", end, address, far, "22", near, str(port), "--jump", "DROP"]
        for port in ports
        for chain, end, far, near in (
            ("OUTPUT", "--destination", "--destination-port", "--source-port"),
            ("INPUT", "--source", "--source-port", "--destination-port"),
        )
    ]
    try:
        _filter("--insert", rules)
        yield
    finally:
        _filter("--delete", rules)


def _filter(action: str, rules: list[list[str]]) -> None:
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    for rule in rules:
        subprocess.run([*as_root, "iptables", "--wait", action, *rule], check=True)
