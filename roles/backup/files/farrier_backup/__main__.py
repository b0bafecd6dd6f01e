"""`farrier-backup`: save, prove and restore what apps keep; on the host of the repositories, keep those."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from farrier_backup import point_in_time, postgresql, prove, records, repositories, restore, save
from farrier_backup.errors import BackupError
from farrier_backup.restic import Restic
from farrier_backup.settings import CONFIGURATION, STATE, Settings, load, open_way

Arguments = argparse.Namespace
# For how long a deploy may wait for its turn.
TURN_SECONDS = 60.0


@contextmanager
def alone(seconds: float = float("inf")) -> Iterator[None]:
    """Wait for others that save, prove or restore on this host.

    Raises:
        BackupError: they go on for longer.
    """
    open_way(STATE)
    deadline = time.monotonic() + seconds
    with (STATE / ".lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise BackupError(
                        "another backup, proof or restore is under way on this host", "wait for its end"
                    ) from None
            time.sleep(0.1)
        yield


def _init(_: Arguments) -> int:
    print("made" if save.initialise(load()) else "it is there")
    return 0


def _init_postgresql(_: Arguments) -> int:
    print("made" if postgresql.initialise() else "nothing to do")
    return 0


def _run(_: Arguments) -> int:
    settings = load()
    with alone():
        failures = save.save_all(settings)
        failures += _of_postgresql(settings, postgresql.save, "unsaved")
        return repositories.complain(failures)


def _carry(_: Arguments) -> int:
    return repositories.complain(_of_postgresql(load(), postgresql.carry, "uncarried"))


def _prove(_: Arguments) -> int:
    settings = load()
    failures: list[str] = []
    with alone(), ExitStack() as stack:
        socket: Path | None = None

        def prove_postgresql(settings: Settings) -> str:
            nonlocal socket
            said, socket = stack.enter_context(point_in_time.proven(settings))
            return said

        failures += _of_postgresql(settings, prove_postgresql, "unproven")
        failures += prove.prove_all(settings, socket)
    return repositories.complain(failures)


def _save(arguments: Arguments) -> int:
    settings, app = load(), arguments.app
    if app in settings.apps and not arguments.database:
        with alone(TURN_SECONDS):
            save.check_repository(Restic(settings))
            save.save(app, settings)
    if app in (settings.databases or []):
        print(postgresql.reach_now())
    return 0


def _of_postgresql(settings: Settings, work: Callable[[Settings], str], key: str) -> list[str]:
    """Do something with the PostgreSQL of this host, if it has one; return why it failed, if it did."""
    if settings.databases is None:
        return []
    try:
        print(work(settings), flush=True)
    except BackupError as error:
        records.note(postgresql.NAME, key, {"why": str(error)})
        return [f"PostgreSQL: {error}"]
    return []


def _restore(arguments: Arguments) -> int:
    settings = load()
    app = arguments.app
    if arguments.step == "plan":
        found = restore.plan(app, arguments.at, settings, has_database=arguments.has_database)
        print(found.id, *found.texts, sep="\n")
        return 0
    steps: dict[str, Callable[[], list[str]]] = {
        "prepare": lambda: restore.prepare(app, arguments.id, arguments.at, settings),
        "stop": lambda: restore.stop(app),
        "swap": lambda: restore.swap(app, arguments.id),
        "start": lambda: restore.start(app),
    }
    with alone():
        print(*steps[arguments.step](), sep="\n")
    return 0


def _status(_: Arguments) -> int:
    lines, alarms = [], []
    if (CONFIGURATION / "settings.json").exists():
        settings = load()
        reports = {app: records.report(app, settings) for app in settings.apps}
        if settings.databases is not None:
            reports["PostgreSQL"] = postgresql.report(settings)
        for name, report in reports.items():
            lines.append(f"backup of {name}: {report.text}")
            alarms += [f"backup of {name}: {alarm}" for alarm in report.alarms]
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
    add(
        "init-postgresql",
        "make the repository of PostgreSQL on this host, unless it is there",
        _init_postgresql,
    )
    add("run", "save each app, and PostgreSQL", _run)
    one = add("save", "save one app, so that it can be restored as it is now", _save)
    one.add_argument("app")
    one.add_argument("--database", action="store_true", help="nothing but its database")
    add("carry", "bring the WAL of PostgreSQL to the backup host", _carry)
    add("prove", "restore the newest backup of each app into a scratch place, and check it", _prove)
    add("status", "say how old backups are; exit with 1 if something is wrong", _status)
    one = add("restore", "a step of playbooks/restore.yml", _restore)
    one.add_argument("step", choices=["plan", "prepare", "stop", "swap", "start"])
    one.add_argument("app")
    one.add_argument("--at", default="", help="plan and prepare: the moment")
    one.add_argument("--has-database", action="store_true", help="plan: the app may do without files")
    one.add_argument("--id", default="", help="prepare and swap: what the plan has chosen")
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
