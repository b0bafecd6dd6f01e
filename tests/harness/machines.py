"""The lab's machines from outside: switched off and on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness.connections import ROOT, hang_up

PODMAN = ROOT / "lab/podman"
PODMAN_SECONDS = 120.0


def shut_down(name: str) -> None:
    """Stop a machine as its own shutdown does."""
    hang_up(name)
    _podman("stop", "--time", "60", name)


def cut_off(name: str) -> None:
    """End a machine as a power cut does."""
    hang_up(name)
    _podman("kill", name)


@contextmanager
def unplugged(name: str) -> Iterator[None]:
    """Meanwhile, no packet reaches a machine or leaves it; its connections do not get to know it."""
    _podman("exec", name, "ip", "link", "set", "eth0", "down")
    try:
        yield
    finally:
        _podman("exec", name, "ip", "link", "set", "eth0", "up")


def is_on(name: str) -> bool:
    """Whether a machine runs."""
    return _podman("container", "inspect", "--format", "{{.State.Running}}", name) == "true"


def switch_on(name: str) -> None:
    """Start a machine, unless it runs, and wait until SSH does."""
    hang_up(name)
    _podman("start", name)
    _podman("exec", name, "sh", "-c", "until systemctl is-active --quiet ssh; do sleep 0.2; done")


def _podman(*arguments: str) -> str:
    done = subprocess.run(
        [PODMAN, *arguments], check=True, capture_output=True, text=True, timeout=PODMAN_SECONDS
    )
    return done.stdout.strip()
