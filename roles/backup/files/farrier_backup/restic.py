"""restic, on a repository of another host that lets this one add to it and nothing else."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from farrier_backup.errors import BackupError
from farrier_backup.settings import CONFIGURATION, Settings

CACHE = Path("/var/cache/farrier-backup")
# restic tries a write again for 15 minutes, on a full disk too.
RETRY_SECONDS = 60.0
CALM_SECONDS = 120.0
# For how long another one may hold the repository, as pruning does.
LOCKED_SECONDS = 3600.0
LOCKED_EVERY_SECONDS = 5.0
INCOMPLETE = 3

SITE = "ansible-playbook farrier.kit.site"
# What restic, rclone and ssh say, what it means, and what to do.
MEANINGS = (
    (
        r"wrong password|no key found",
        "backup_passphrase does not open the repository",
        f"put the passphrase with which the repository was made into backup_passphrase, and run {SITE}",
    ),
    (
        r"Host key verification failed",
        "the backup host has another host key than the one that site.yml has seen",
        f"make sure that it is the right host, then run {SITE}",
    ),
    (
        r"Permission denied \(",
        "the backup host does not accept the key of this host",
        f"run {SITE}, which tells it the key",
    ),
    (
        r"(?i)no space left|remaining disk space|disk quota exceeded|MB free",
        "the disk of the backup host is full",
        "free or add space there; `farrier-backup prune` there drops what is past its time",
    ),
    (
        r"Is there a repository|config file does not exist|unable to open config",
        "the repository is not on the backup host",
        "see whether its disk is mounted there; if it is lost, `farrier-backup init` here makes a new one",
    ),
    (
        r"exit status 255|ssh: |Connection (refused|closed|reset|timed out)|Broken pipe",
        "the backup host does not answer",
        "start it, or see why `ssh` from this host does not reach it",
    ),
)


@dataclass(frozen=True)
class Snapshot:
    """One backup of one app.

    Args:
        id: of restic.
        time: at which it was made.
    """

    id: str
    time: datetime


class Restic:
    """restic with the repository of this host.

    Args:
        settings: of the host.
        configuration: directory with the key, the known host and the passphrase.
    """

    def __init__(self, settings: Settings, configuration: Path = CONFIGURATION) -> None:
        self._settings = settings
        self._ssh = [
            "ssh",
            "-F/dev/null",
            f"-i{configuration / 'id_ed25519'}",
            f"-p{settings.port}",
            *(
                f"-o{option}"
                for option in (
                    "BatchMode=yes",
                    "IdentitiesOnly=yes",
                    "StrictHostKeyChecking=yes",
                    f"UserKnownHostsFile={configuration / 'known_hosts'}",
                    "HostKeyAlias=backup",
                    "ConnectTimeout=20",
                    "ServerAliveInterval=15",
                )
            ),
            settings.destination,
        ]
        self._options = [
            "--repo=rclone:repository",
            f"--password-file={configuration / 'passphrase'}",
            f"--cache-dir={CACHE}",
            "--json",
        ]

    def call(self, *arguments: str) -> str:
        """Return what restic prints, once nobody else holds the repository.

        Raises:
            BackupError: it failed.
        """
        code, stdout, stderr = self.attempt(*arguments)
        if code != 0:
            raise meaning(stderr)
        return stdout

    def attempt(self, *arguments: str) -> tuple[int, str, str]:
        """Return exit code and output of restic, once nobody else holds the repository."""
        deadline = time.monotonic() + LOCKED_SECONDS
        while True:
            result = self._run(*arguments)
            if "already locked" not in result[2] or time.monotonic() > deadline:
                return result
            # Of a process that has died it is removed, of others it is not.
            self._run("unlock")
            time.sleep(LOCKED_EVERY_SECONDS)

    def snapshots(self, app: str) -> list[Snapshot]:
        """Return the backups of an app of this host, the oldest first."""
        found = json.loads(self.call("snapshots", f"--tag={app}", f"--host={self._settings.host}")) or []
        snapshots = [Snapshot(one["id"], datetime.fromisoformat(one["time"])) for one in found]
        return sorted(snapshots, key=lambda one: one.time)

    def bytes_of(self, snapshot: Snapshot) -> int:
        """Return the size of all files of a backup."""
        found: dict[str, Any] = json.loads(self.call("stats", "--mode=restore-size", snapshot.id))
        return int(found["total_size"])

    def _run(self, *arguments: str) -> tuple[int, str, str]:
        # restic may close the pipe before it has read why ssh has ended.
        with tempfile.NamedTemporaryFile("r") as log:
            program = shlex.join([self._ssh[0], f"-E{log.name}", *self._ssh[1:]])
            code, stdout, stderr = watched(
                ["restic", f"--option=rclone.program={program}", *self._options, *arguments]
            )
            return code, stdout, log.read() + stderr


def watched(command: list[str], clock: Callable[[], float] = time.monotonic) -> tuple[int, str, str]:
    """Run restic; end it when it has tried the same again for too long.

    Args:
        command: with its arguments.
        clock: seconds that go on.
    """
    lines: list[str] = []
    first = last = -CALM_SECONDS
    # A pipe that nobody reads would stop it when it is full.
    with (
        tempfile.TemporaryFile("w+") as stdout,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "RESTIC_PROGRESS_FPS": "0.01"},
        ) as process,
    ):
        assert process.stderr
        for line in process.stderr:
            lines.append(line)
            if "retrying after" not in line:
                continue
            now = clock()
            first = now if now - last >= CALM_SECONDS else first
            last = now
            if now - first >= RETRY_SECONDS:
                process.terminate()
                break
        lines += process.stderr.readlines()
        process.wait()
        stdout.seek(0)
        return process.returncode, stdout.read(), "".join(lines)


def meaning(stderr: str) -> BackupError:
    """Return what restic's complaint means, with its own last words."""
    lines = [line for line in _spoken(stderr) if line]
    for pattern, what, fix in MEANINGS:
        said = [line for line in lines if re.search(pattern, line)]
        if said:
            return BackupError(f"{what} ({_plain(said[0])})", fix)
    return BackupError(
        f"restic failed: {_plain(lines[-1]) if lines else 'it said nothing'}", "journalctl -u farrier-backup"
    )


def _spoken(stderr: str) -> Iterator[str]:
    """Yield the lines of restic, of newer versions out of their JSON."""
    for line in stderr.splitlines():
        try:
            yield from map(str.strip, str(json.loads(line)["message"]).splitlines())
        except (ValueError, TypeError, KeyError):
            yield line.strip()


def _plain(line: str) -> str:
    return re.sub(r"^(rclone: |Fatal: |\d{4}/\d\d/\d\d \d\d:\d\d:\d\d |ERROR : )+", "", line).rstrip(".")
