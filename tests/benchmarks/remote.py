"""Commands on a lab host over SSH, for the benchmarks."""

from __future__ import annotations

import argparse
import base64
import json
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SSH = f"ssh -F {ROOT / 'build/lab/ssh_config'}"


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of what every benchmark of the demo's site can be told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="web1", help="the host that is both edge and app")
    parser.add_argument("--ssh", default=SSH, help="the command that reaches it")
    parser.add_argument("--app", default="observatory")
    parser.add_argument("--url", default="https://observatory.lab.test")
    parser.add_argument("--connections", type=int, default=64)
    return parser


def play(inventory: Path, playbook: str, *arguments: str) -> None:
    """Run a playbook against the hosts of an inventory, and show nothing of it."""
    command = ["ansible-playbook", "--inventory", str(inventory), playbook, *arguments]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


class RemoteError(Exception):
    """A command on a host has failed; the message has its output."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A host that is reached by `ssh` (the command with its options) as `host`, with sudo."""

    host: str
    ssh: str = SSH

    def run(self, *command: str, stdin: str | None = None) -> str:
        """Run a command as root, which reads `stdin` if there is any, and return its output.

        Raises:
            RemoteError: when it exits with anything but 0.
        """
        done = subprocess.run(
            [*shlex.split(self.ssh), self.host, shlex.join(("sudo", *command))],
            input=stdin,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RemoteError(f"{self.host}: {shlex.join(command)}: exit {done.returncode}\n{done.stderr}")
        return done.stdout

    def address(self) -> str:
        """Return the address that SSH connects to."""
        options = subprocess.run(
            [*shlex.split(self.ssh), "-G", self.host], capture_output=True, text=True, check=True
        ).stdout
        return next(line.split()[1] for line in options.splitlines() if line.startswith("hostname "))

    def gunicorn_settings(self, app: str) -> dict[str, Any]:
        """Return the data of the app's gunicorn settings."""
        settings: dict[str, Any] = json.loads(self.run("cat", _settings_path(app)))
        return settings

    @contextmanager
    def changed_gunicorn_settings(self, app: str, **changes: Any) -> Iterator[None]:
        """Restart the app with other settings for the time of a `with` block, then with its own again."""
        path = _settings_path(app)
        kept = self.run("cat", path)
        self.write(path, json.dumps(json.loads(kept) | changes, indent=4))
        try:
            self.run("systemctl", "restart", f"{app}.service")
            yield
        finally:
            self.write(path, kept)
            self.run("systemctl", "restart", f"{app}.service")

    def write(self, path: str, content: str) -> None:
        """Write a file."""
        self.run("sh", "-c", 'cat >"$1"', "sh", path, stdin=content)

    def write_bytes(self, path: str, content: bytes) -> None:
        """Write a file that is no text."""
        self.run("sh", "-c", 'base64 --decode >"$1"', "sh", path, stdin=base64.b64encode(content).decode())

    def read_bytes(self, path: str) -> bytes:
        """Read a file that is no text."""
        return base64.b64decode(self.run("base64", path))


def _settings_path(app: str) -> str:
    return f"/etc/farrier/{app}/gunicorn.json"
