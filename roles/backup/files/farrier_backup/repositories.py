"""The host that holds the repositories: what others may do with them, and what is dropped in time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from farrier_backup.errors import BackupError
from farrier_backup.restic import meaning
from farrier_backup.settings import read_json, write_json

CONFIGURATION = Path("/etc/farrier-repositories/settings.json")
RECORD = ".pruned.json"
# By how much the clock of a host may be wrong, and how long one backup may take.
SKEW_SECONDS = 300
LONGEST_SECONDS = 86_400


@dataclass(frozen=True)
class Repositories:
    """Settings of the host.

    Args:
        directory: with a repository for each host.
        free_min_mb: what a backup must leave free on its disk.
        keep: how many backups are kept, by `daily` and the like.
        hosts: that have a repository here.
    """

    directory: str
    free_min_mb: int
    keep: dict[str, int]
    hosts: list[str]

    def of(self, host: str) -> Path:
        """Return the repository of a host."""
        return Path(self.directory) / host


def load(path: Path = CONFIGURATION) -> Repositories:
    """Read the settings."""
    return Repositories(**json.loads(path.read_text()))


def serve(host: str) -> NoReturn:
    """Answer restic of a host over its SSH connection; it may add to its repository, and remove nothing.

    Raises:
        BackupError: the host has left the inventory, or the disk is nearly full. What is left is for pruning.
    """
    settings = load()
    if host not in settings.hosts:
        raise BackupError(
            f"Permission denied (it is no longer for {host})", "ansible-playbook farrier.kit.site"
        )
    free = shutil.disk_usage(settings.directory).free // 2**20
    if free < settings.free_min_mb:
        raise BackupError(
            f"{settings.directory} has {free} MB free, and backup_free_disk_min_mb is {settings.free_min_mb}",
            "free or add space there",
        )
    command = ["rclone", "serve", "restic", "--stdio", "--append-only", "--config=", str(settings.of(host))]
    os.execvp(command[0], command)


def prune_all() -> list[str]:
    """Drop what is past its time in each repository; return why not, as a line for each that failed."""
    settings = load()
    failures = []
    record: dict[str, Any] = {}
    for host in settings.hosts:
        repository = settings.of(host)
        if not (repository / "config").exists():
            continue
        try:
            prune(repository, settings.keep)
            record[host] = {"at": time.time()}
        except BackupError as error:
            failures.append(f"{host}: {error}")
            record[host] = {"at": time.time(), "why": str(error)}
    write_json(Path(settings.directory) / RECORD, record)
    return failures


def prune(repository: Path, keep: dict[str, int]) -> None:
    """Drop the backups of one host that are past their time, then check what is left.

    Raises:
        BackupError: one of these fails, or the times of backups are not true.
    """

    def restic(*arguments: str) -> str:
        command = [
            "restic",
            f"--repo={repository}",
            f"--password-file={CONFIGURATION.with_name('passphrase')}",
            "--no-cache",
        ]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise meaning(done.stderr)
        return done.stdout

    restic("unlock")  # of processes that have died
    if untrue := untrue_times(repository, json.loads(restic("snapshots", "--json")) or []):
        raise BackupError(
            f"backups of {repository.name} say another time than that of their arrival: {', '.join(untrue)}; "
            "they could displace true ones, so nothing was dropped",
            f"see whether {repository.name} is compromised or its clock is wrong; as farrier-repositories, "
            "`restic forget ID` removes them",
        )
    policy = [f"--keep-{unit}={count}" for unit, count in keep.items() if count > 0]
    restic("forget", "--group-by=tags", *policy)
    restic("prune")  # also of what a backup that failed has left
    restic("check")


def untrue_times(repository: Path, snapshots: list[dict[str, Any]]) -> list[str]:
    """Return the backups whose own time does not fit to when they came."""
    found = []
    for one in snapshots:
        came = (repository / "snapshots" / one["id"]).stat().st_mtime
        said = datetime.fromisoformat(one["time"]).timestamp()
        if not came - LONGEST_SECONDS <= said <= came + SKEW_SECONDS:
            found.append(one["id"][:8])
    return found


def report() -> tuple[list[str], list[str]]:
    """Return what status says of this host, and what is wrong."""
    settings = load()
    free = shutil.disk_usage(settings.directory).free // 2**20
    alarms = [
        f"pruning of {host} failed: {one['why']}"
        for host, one in read_json(Path(settings.directory) / RECORD).items()
        if "why" in one
    ]
    if free < settings.free_min_mb:
        alarms.append(f"only {free} MB are free, so it takes no more backups")
    return [f"{len(settings.hosts)} repositories, {free} MB free"], alarms


def complain(failures: list[str]) -> int:
    """Print failures; return the exit code."""
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0
