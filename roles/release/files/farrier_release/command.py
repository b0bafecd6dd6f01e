"""The command `farrier`: something of an application, run as its web process would run it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from farrier_release.application import Application
from farrier_release.config import CONFIGURATION_DIRECTORY, load
from farrier_release.errors import ReleaseError, UsageError
from farrier_release.host import Host

SHELL = ["/bin/bash"]


def main(
    arguments: Sequence[str] | None = None,
    *,
    host: Host | None = None,
    configuration_directory: Path = CONFIGURATION_DIRECTORY,
) -> int:
    """Become a command of an application in its live release; its exit code is this process's.

    Args:
        arguments: the command line; that of this process by default.
        host: the machine.
        configuration_directory: where `APP/release.json` is.

    Returns:
        The exit code where it could not be run, see `ExitCode`.
    """
    options = _parser().parse_args(arguments)
    words = SHELL if options.verb == "shell" else options.command[options.command[:1] == ["--"] :]
    try:
        if os.geteuid() != 0:
            raise UsageError(
                "Only root may do that.", next_command=f"sudo farrier {options.verb} {options.app}"
            )
        if not words:
            raise UsageError("Which command?", next_command=f"farrier run {options.app} -- COMMAND")
        application = Application(
            load(options.app, configuration_directory, ignore_unknown=True), host or Host()
        )
        kind = f"{options.verb}-{os.getpid()}"
        application.host.become_sandboxed(
            application.sandboxed(kind, words, application.live_release(), None)
        )
    except ReleaseError as error:
        print(f"farrier: {error.message}", file=sys.stderr)
        if error.next_command:
            print(f"Next: {error.next_command}", file=sys.stderr)
        return int(error.exit_code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="farrier",
        description="Run something of an app in its live release, with its user, environment and sandbox.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("run", help="run a command: farrier run APP -- COMMAND…")
    one.add_argument("app", help="name of the app")
    one.add_argument("command", nargs=argparse.REMAINDER, help="the command and its arguments, after --")
    one = verbs.add_parser("shell", help="open a shell: farrier shell APP")
    one.add_argument("app", help="name of the app")
    return parser
