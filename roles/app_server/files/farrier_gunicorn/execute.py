"""`python -m farrier_gunicorn.execute --settings FILE -- COMMAND…`: runs a command as the app would run it.

With the app's environment, in the project directory of the release, with the release's programs first. For
migrations, hooks, processes and timers: secrets come from a file and never appear in a list of processes.
"""

from __future__ import annotations

import argparse
import os
import sys

from farrier_gunicorn.configuration import ConfigurationError, load

_CONFIGURATION_ERROR = 78  # EX_CONFIG
_NOT_EXECUTABLE = 126
_NOT_FOUND = 127


def main(arguments: list[str] | None = None) -> int:
    """Becomes the command; returns only when that is impossible, with an exit code as a shell's."""
    parser = argparse.ArgumentParser(prog="farrier_gunicorn.execute", description=__doc__)
    parser.add_argument("--settings", required=True, metavar="FILE", help="the app's gunicorn.json")
    parser.add_argument("--copy", metavar="DIRECTORY.N", help="the release, and the number of a copy")
    parser.add_argument("command", nargs="+", help="the command and its arguments, after --")
    options = parser.parse_args(arguments)
    try:
        given = {**os.environ, "FARRIER_SETTINGS": options.settings}
        if options.copy:
            given["FARRIER_RELEASE_DIRECTORY"] = options.copy.rpartition(".")[0]
        configuration = load(given)
    except ConfigurationError as error:
        print(f"execute: {error}", file=sys.stderr)
        return _CONFIGURATION_ERROR
    programs = str(configuration.virtual_environment / "bin")
    environment = {**os.environ, **configuration.environment}
    environment["PATH"] = f"{programs}{os.pathsep}{environment.get('PATH', os.defpath)}"
    environment["VIRTUAL_ENV"] = str(configuration.virtual_environment)
    command = options.command
    try:
        os.chdir(configuration.project_directory)
        os.execvpe(command[0], command, environment)
    except FileNotFoundError:
        print(f"execute: {command[0]}: there is no such command in {environment['PATH']}", file=sys.stderr)
        return _NOT_FOUND
    except OSError as error:
        print(f"execute: {command[0]}: {error.strerror}", file=sys.stderr)
        return _NOT_EXECUTABLE


if __name__ == "__main__":
    sys.exit(main())
