"""The command `farrier-release`."""

from __future__ import annotations

import argparse
import getpass
import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from farrier_release import activation, audit, phases, rollback, transfer, watch
from farrier_release.application import Application
from farrier_release.begin import begin, describe_owner
from farrier_release.config import CONFIGURATION_DIRECTORY, load
from farrier_release.errors import ExitCode, ReleaseError, UsageError
from farrier_release.finish import finish
from farrier_release.host import Host
from farrier_release.status import problem, status

Result = dict[str, Any]


def main(
    arguments: Sequence[str] | None = None,
    *,
    host: Host | None = None,
    configuration_directory: Path = CONFIGURATION_DIRECTORY,
) -> int:
    """Run one phase.

    Args:
        arguments: the command line; that of this process by default.
        host: the machine.
        configuration_directory: where `APP/release.json` is.

    Returns:
        The exit code, see `ExitCode`.
    """
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupted)
    os.umask(0o022)  # an administrator's own may keep the app from reading its release
    started = time.monotonic()
    application = None
    try:
        application = Application(load(options.app, configuration_directory), host or Host())
        result = options.run(application, options)
        code = ExitCode.SUCCESS
    except ReleaseError as error:
        result = _failure(application, error)
        code = error.exit_code
    if application is not None:
        result = application.masking.data(result)
    result = {"phase": options.phase, **result, "seconds": round(time.monotonic() - started, 3)}
    _show(result, options)
    return int(code)


def _failure(application: Application | None, error: ReleaseError) -> Result:
    details = error.details()
    result: Result = {
        "changed": False,
        "failed": True,
        "message": error.message,
        "error": details,
        "live": None,
    }
    if application is not None:
        live = application.releases.live()
        result["live"] = live
        result["live_problem"] = problem(application, live) if live else "nothing is live"
        lease = application.lease_file.read()
        if error.exit_code == ExitCode.BUSY and lease:
            result["holder"] = describe_owner(lease)
    return result


def _show(result: Result, options: argparse.Namespace) -> None:
    if options.json:
        json.dump(result, sys.stdout)
        print()
    elif result.get("failed"):
        error = result["error"]
        print(
            f"{options.app}: {options.phase} failed: {error['message']}",
            *error["log"],
            sep="\n    ",
            file=sys.stderr,
        )
        if error["next_command"]:
            print(f"Next: {error['next_command']}", file=sys.stderr)
    elif options.phase == "status":
        print(*result["text"], sep="\n")
    elif options.phase == "log":
        print(json.dumps(result, indent=2))
    else:
        print(f"{options.app}: {result.get('message', 'done')}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="farrier-release", description="Deploy and roll back one application on this host."
    )
    parser.add_argument("--app", required=True, help="name of the application")
    commands = parser.add_subparsers(dest="phase", required=True)

    def command(name: str, run: Callable[[Application, argparse.Namespace], Result], text: str) -> Any:
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("--json", action="store_true", help="print one JSON document")
        one.set_defaults(run=run)
        return one

    def with_token(name: str, run: Callable[[Application, argparse.Namespace], Result], text: str) -> Any:
        one = command(name, run, text)
        one.add_argument("--token", required=True, help="token that `begin` returned")
        return one

    one = command("begin", _begin, "take the lease, unless the requested release is already live")
    one.add_argument(
        "--request", required=True, type=_object, help="JSON: archive_sha256, version, project, who, owner"
    )
    one.add_argument("--gone", default="", help="id of a lease whose holder is known to be dead")
    one.add_argument("--check", action="store_true", help="only show what would be done")
    for name in phases.PHASES:
        with_token(name, _phase, f"{name} the release of the lease")
    one = with_token("offer", _offer, "list the files of the release, for other hosts")
    one.add_argument("--output", required=True, type=Path, help="new file for the index")
    one = with_token("pack", _pack, "bundle contents of the release: a JSON list of SHA-256 sums on stdin")
    one.add_argument("--output", required=True, type=Path, help="new file for the pack")
    for name, run, text in (
        ("want", _want, "list what this host lacks of an offered release"),
        ("receive", _receive, "assemble the release from what was sent and what is here, instead of a build"),
    ):
        one = with_token(name, run, text)
        one.add_argument("--index", required=True, type=Path, help="file that `offer` wrote")
        one.add_argument("--index-sha256", required=True, help="what `offer` returned")
    one.add_argument("--pack", type=Path, help="file that `pack` wrote")
    with_token("activate", lambda app, options: phases.activate(app, options.token), "make it live, or undo")
    one = with_token("perform", _perform, argparse.SUPPRESS)
    one.add_argument("--outcome", required=True, type=Path, help=argparse.SUPPRESS)
    with_token("abort", lambda app, options: phases.abort(app, options.token), "abort a deploy")
    command("finish", lambda app, _: finish(app), "remove old releases")
    one = command("rollback", _rollback, "make an earlier release live")
    one.add_argument("--release", help="release id; by default the release before the live one")
    one.add_argument("--force", action="store_true", help="also if it never went live successfully")
    one.add_argument("--check", action="store_true", help="only show what would be done")
    one.add_argument("--who", default="", help="who requests it")
    one.add_argument("--owner", type=_object, default={}, help="JSON: the controller's process")
    one.add_argument("--gone", default="", help="id of a lease whose holder is known to be dead")
    one = command("watch", _watch, argparse.SUPPRESS)
    one.add_argument("--release", required=True, help=argparse.SUPPRESS)
    one.add_argument("--origin", required=True, help=argparse.SUPPRESS)
    command("status", lambda app, _: status(app), "show what is live")
    one = command("log", _log, "show the last deploys and rollbacks")
    one.add_argument("--lines", type=int, default=20, help="how many")
    one = command("unlock", _unlock, "drop the lease of a dead deploy")
    one.add_argument("--force", action="store_true", help="also while a phase of it runs")
    one.add_argument("--check", action="store_true", help="only show what would be done")
    command("recover", _recover, "finish or undo an interrupted activation")
    return parser


def _begin(application: Application, options: argparse.Namespace) -> Result:
    missing = [key for key in ("archive_sha256", "version", "project", "who") if key not in options.request]
    if missing:
        raise UsageError(f"The request lacks {', '.join(missing)}.")
    return begin(application, options.request, gone=options.gone, check=options.check)


def _phase(application: Application, options: argparse.Namespace) -> Result:
    return phases.run_phase(application, options.phase, options.token)


def _offer(application: Application, options: argparse.Namespace) -> Result:
    return phases.assist(
        application, options.token, lambda app, lease: transfer.offer(app, lease, options.output)
    )


def _pack(application: Application, options: argparse.Namespace) -> Result:
    wanted = json.load(sys.stdin)
    return phases.assist(
        application, options.token, lambda app, lease: transfer.pack(app, lease, wanted, options.output)
    )


def _want(application: Application, options: argparse.Namespace) -> Result:
    return phases.assist(
        application,
        options.token,
        lambda app, lease: transfer.want(app, lease, options.index, options.index_sha256),
    )


def _receive(application: Application, options: argparse.Namespace) -> Result:
    return phases.receive(application, options.token, options.index, options.index_sha256, options.pack)


def _perform(application: Application, options: argparse.Namespace) -> Result:
    return phases.perform(application, options.token, options.outcome)


def _watch(application: Application, options: argparse.Namespace) -> Result:
    return watch.watch(application, options.release, options.origin)


def _rollback(application: Application, options: argparse.Namespace) -> Result:
    who = options.who or os.environ.get("SUDO_USER") or getpass.getuser()
    request = {"release": options.release, "force": options.force, "who": who, "owner": options.owner}
    if options.check:
        return rollback.foresee(application, request)
    return phases.roll_back(application, request, gone=options.gone)


def _log(application: Application, options: argparse.Namespace) -> Result:
    return {"changed": False, "attempts": audit.last(application.configuration, options.lines)}


def _unlock(application: Application, options: argparse.Namespace) -> Result:
    return phases.unlock(application, force=options.force, check=options.check)


def _recover(application: Application, _: argparse.Namespace) -> Result:
    with application.lease_file.locked(wait_seconds=60):
        return activation.recover(application)


def _object(text: str) -> dict[str, Any]:
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    return data


class _Unheard(io.TextIOBase):
    """A stream whose reader may go away: that is no reason to stop half-way."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
        return len(text)


def outlive_the_caller() -> None:
    """What has begun goes on when the connection ends, and the terminal that sudo made with it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which programs that are started here inherit
    with suppress(PermissionError):  # already the first of a session
        os.setsid()
    sys.stdout, sys.stderr = _Unheard(sys.stdout), _Unheard(sys.stderr)


def _interrupted(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def run() -> NoReturn:
    """Run the command line: a person may interrupt it, a controller that dies does not."""
    if "--json" in sys.argv:
        outlive_the_caller()
    else:
        signal.signal(signal.SIGHUP, _interrupted)
    sys.exit(main())


if __name__ == "__main__":
    run()
