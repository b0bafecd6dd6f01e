"""`farrier-backup`: save, prove and restore what apps keep; on the host of the repositories, keep those."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from farrier_backup import prove, records, repositories, restore, save
from farrier_backup.errors import BackupError
from farrier_backup.settings import CONFIGURATION, STATE, load, open_way

Arguments = argparse.Namespace


@contextmanager
def alone() -> Iterator[None]:
    """Wait for others that save, prove or restore on this host."""
    open_way(STATE)
    with (STATE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _init(_: Arguments) -> int:
    print("made" if save.initialise(load()) else "it is there")
    return 0


def _run(_: Arguments) -> int:
    with alone():
        return repositories.complain(save.save_all(load()))


def _prove(_: Arguments) -> int:
    with alone():
        return repositories.complain(prove.prove_all(load()))


def _restore(arguments: Arguments) -> int:
    settings = load()
    if arguments.step == "plan":
        found = restore.plan(arguments.app, arguments.at, settings)
        print(found["id"], found["text"], sep="\n")
        return 0
    with alone():
        step = restore.prepare if arguments.step == "prepare" else restore.swap
        print(step(arguments.app, arguments.id, settings))
    return 0


def _status(_: Arguments) -> int:
    lines, alarms = [], []
    if (CONFIGURATION / "settings.json").exists():
        settings = load()
        for app in settings.apps:
            report = records.report(app, settings)
            lines.append(f"backup of {app}: {report.text}")
            alarms += [f"backup of {app}: {alarm}" for alarm in report.alarms]
    if repositories.CONFIGURATION.exists():
        said, wrong = repositories.report()
        lines += said
        alarms += wrong
    print(*lines, *(f"ALARM {alarm}" for alarm in alarms), sep="\n")
    return 1 if alarms else 0


def _serve(arguments: Arguments) -> int:
    repositories.serve(arguments.host)


def _prune(_: Arguments) -> int:
    return repositories.complain(repositories.prune_all())


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    top = argparse.ArgumentParser(prog="farrier-backup", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, meaning: str, work: Callable[[Arguments], int]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=meaning)
        command.set_defaults(work=work)
        return command

    add("init", "make the repository of this host, unless it is there", _init)
    add("run", "save each app", _run)
    add("prove", "restore the newest backup of each app into a scratch place, and check it", _prove)
    add("status", "say how old backups are; exit with 1 if something is wrong", _status)
    one = add("restore", "a step of playbooks/restore.yml", _restore)
    one.add_argument("step", choices=["plan", "prepare", "swap"])
    one.add_argument("app")
    one.add_argument("--at", default="", help="plan: the last backup until then")
    one.add_argument("--id", default="", help="prepare and swap: the backup")
    add("prune", "on the host of the repositories: drop what is past its time", _prune)
    add("serve", "on the host of the repositories: answer a host by SSH", _serve).add_argument("host")
    return top


def main() -> int:
    """Run a command; return the exit code."""
    os.umask(0o077)
    arguments = parser().parse_args()
    try:
        return int(arguments.work(arguments))
    except BackupError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
