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

from farrier_release import audit, processes, reconcile, restart, rollback, transaction, transfer
from farrier_release.application import Application
from farrier_release.begin import archive_path, begin, describe_owner
from farrier_release.config import CONFIGURATION_DIRECTORY, load
from farrier_release.errors import ConfigurationError, ExitCode, ReleaseError, UsageError
from farrier_release.finish import finish
from farrier_release.host import Host
from farrier_release.measure import measure
from farrier_release.status import problem, status

Result = dict[str, Any]

# Settings that this tool does not know stop what is about to begin, and nothing that has to come to its end.
BEGINNING = ("begin", "deploy", "rollback", "restart")


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
        settings = load(options.app, configuration_directory, ignore_unknown=options.phase not in BEGINNING)
        application = Application(settings, host or Host())
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
        result |= {"live": live, "live_problem": error.message}
        # A state file that cannot be read is what has failed, then.
        with suppress(ConfigurationError):
            result["live_problem"] = problem(application, live) if live else "nothing is live"
            holder = application.state.read()
            if error.exit_code == ExitCode.BUSY and holder:
                result["holder"] = describe_owner(holder)
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
    elif options.phase in ("status", "measure"):
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
    _add_request(one)
    one.add_argument("--check", action="store_true", help="only show what would be done")
    for order, text in (
        ("prepare", "build and rehearse the release"),
        ("receive", "make the release of what was sent and what is here, and rehearse it"),
        ("activate", "make the prepared release live, or undo"),
    ):
        one = with_token(order, _order, text)
        if order == "receive":
            _add_index(one)
        if order != "activate":
            one.add_argument("--migrate", action="store_true", help="run the migrations too")
    one = command("deploy", _deploy, "begin, prepare and activate a release, whose archive has been uploaded")
    _add_request(one)
    one = command("follow", _follow, "wait for the end of what was started, for some seconds")
    one.add_argument("--order", required=True, help="which, as returned by what started it")
    one.add_argument("--offset", type=int, default=0, help="bytes of its progress that are known")
    one = with_token("run", _run, argparse.SUPPRESS)
    one.add_argument("--order", required=True, help=argparse.SUPPRESS)
    one.add_argument("--migrate", action="store_true", help=argparse.SUPPRESS)
    _add_index(one, required=False)
    one = with_token("offer", _offer, "list the files of the release, for other hosts")
    one.add_argument("--output", required=True, type=Path, help="new file for the index")
    one = with_token("pack", _pack, "bundle contents of the release: a JSON list of SHA-256 sums on stdin")
    one.add_argument("--output", required=True, type=Path, help="new file for the pack")
    one = with_token("want", _want, "list what this host lacks of an offered release")
    _add_index(one)
    with_token("abort", lambda app, options: reconcile.abort(app, options.token), "abort a deploy")
    command("finish", lambda app, _: finish(app), "remove old releases")
    one = command("rollback", _rollback, "make an earlier release live")
    one.add_argument("--release", help="release id; by default the release before the live one")
    one.add_argument("--force", action="store_true", help="also if it never went live successfully")
    one.add_argument("--undo", action="store_true", help="with the settings that the live one has replaced")
    one.add_argument("--check", action="store_true", help="only show what would be done")
    _add_caller(one)
    one = command("restart", _restart, "restart the service of the live release, while a stand-in serves")
    _add_caller(one)
    one = command("processes", _processes, "run the processes and timers of the inventory, and no others")
    one.add_argument("--remove", action="store_true", help="only remove what is not in the inventory")
    one.add_argument("--check", action="store_true", help="only show what would be done")
    command("status", lambda app, _: status(app), "show what is live")
    one = command("measure", _measure, "compare servers and numbers of workers under load")
    one.add_argument("--path", default="/", help="what to ask for by GET; the app works on its live data")
    one.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    one = command("log", _log, "show the last deploys and rollbacks")
    one.add_argument("--lines", type=int, default=20, help="how many")
    one = command("unlock", _unlock, "drop the lease of a dead deploy")
    one.add_argument("--force", action="store_true", help="also while a phase of it runs")
    one.add_argument("--check", action="store_true", help="only show what would be done")
    one = command("recover", _recover, "finish or undo what was interrupted")
    one.add_argument("--order", default="", help=argparse.SUPPRESS)
    return parser


def _add_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--request", required=True, type=_object, help="JSON: archive_sha256, version, project, who, owner"
    )
    parser.add_argument("--gone", default="", help="id of a lease whose holder is known to be dead")


def _add_index(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument("--index", required=required, type=Path, help="file that `offer` wrote")
    parser.add_argument("--index-sha256", required=required, help="what `offer` returned")
    parser.add_argument("--pack", type=Path, help="file that `pack` wrote")


def _add_caller(one: Any) -> None:
    one.add_argument("--who", default="", help="who requests it")
    one.add_argument("--owner", type=_object, default={}, help="JSON: the controller's process")
    one.add_argument("--gone", default="", help="id of a lease whose holder is known to be dead")


def _begin(application: Application, options: argparse.Namespace) -> Result:
    request, settings = _complete(options.request)
    return begin(application, request, settings, gone=options.gone, check=options.check)


def _deploy(application: Application, options: argparse.Namespace) -> Result:
    request, settings = _complete(options.request)
    archive = archive_path(application, request["archive_sha256"])
    try:
        begun = begin(application, request, settings, gone=options.gone)
    except ReleaseError as error:
        # Who is told that another deploy is in the way may find it dead, and ask again.
        if error.exit_code != ExitCode.BUSY:
            archive.unlink(missing_ok=True)
        raise
    if not begun["new"]:
        archive.unlink(missing_ok=True)
        return begun
    return {**begun, **_started(application, options, begun["token"], "deploy")}


def _order(application: Application, options: argparse.Namespace) -> Result:
    further = ["--migrate"] if getattr(options, "migrate", False) else []
    if options.phase == "receive":
        further += ["--index", str(options.index), "--index-sha256", options.index_sha256]
        further += ["--pack", str(options.pack)] if options.pack else []
    return _started(application, options, options.token, options.phase, further)


def _started(
    application: Application,
    options: argparse.Namespace,
    token: str,
    order: str,
    further: Sequence[str] = (),
) -> Result:
    """Start a transaction's run; a person waits for its end, a controller asks again.

    A controller gets to know the run at once: a connection that is cut in a later call costs nothing.
    """
    run = transaction.start(application, token, order, list(further))
    if options.json:
        return transaction.follow(application, run, 0, seconds=0)
    offset = 0
    while True:
        found = transaction.follow(application, run, offset)
        offset = found["offset"]
        for line in found["lines"]:
            print(line, file=sys.stderr, flush=True)
        if not found.get("running"):
            return found


def _follow(application: Application, options: argparse.Namespace) -> Result:
    return transaction.follow(application, options.order, options.offset)


def _run(application: Application, options: argparse.Namespace) -> Result:
    return transaction.run(application, options.token, options.order, vars(options))


def _complete(request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The request, and the settings that come with it: by standard input, since secrets are among them."""
    missing = [key for key in ("archive_sha256", "version", "project", "who") if key not in request]
    if missing:
        raise UsageError(f"The request lacks {', '.join(missing)}.")
    settings = _object(sys.stdin.readline()) if request.get("settings") == "stdin" else {}
    return request, settings


def _offer(application: Application, options: argparse.Namespace) -> Result:
    return _assist(application, options.token, lambda app, one: transfer.offer(app, one, options.output))


def _pack(application: Application, options: argparse.Namespace) -> Result:
    wanted = json.load(sys.stdin)
    return _assist(
        application, options.token, lambda app, one: transfer.pack(app, one, wanted, options.output)
    )


def _want(application: Application, options: argparse.Namespace) -> Result:
    index, sha256 = options.index, options.index_sha256
    return _assist(application, options.token, lambda app, one: transfer.want(app, one, index, sha256))


def _assist(application: Application, token: str, task: transaction.Step) -> Result:
    """Do something for the holder of the lease that is no step of it: a failure ends nothing."""
    with application.state.locked():
        holder = application.state.holder(token)
        try:
            result = task(application, holder)
        except OSError as error:
            raise ReleaseError(str(error), next_command=f"df -h {application.configuration.root}") from error
        application.state.renew(holder)
        return result


def _rollback(application: Application, options: argparse.Namespace) -> Result:
    request = {"release": options.release, "force": options.force, "undo": options.undo, **_caller(options)}
    if options.check:
        return rollback.foresee(application, request)
    chosen = rollback.choose(application, request, gone=options.gone)
    return _started(application, options, chosen.token, "rollback")


def _restart(application: Application, options: argparse.Namespace) -> Result:
    begun = restart.begin(application, _caller(options), gone=options.gone)
    if begun is None:
        service = application.configuration.service
        return {"changed": False, "message": f"{service} does not run."}
    return _started(application, options, begun.token, "restart")


def _caller(options: argparse.Namespace) -> dict[str, Any]:
    who = options.who or os.environ.get("SUDO_USER") or getpass.getuser()
    return {"who": who, "owner": options.owner}


def _processes(application: Application, options: argparse.Namespace) -> Result:
    with application.state.locked(wait_seconds=60):
        done = processes.remove(application, check_only=options.check)
        transaction = application.state.read()
        # Both releases have their copies until the watch over the new one has ended.
        if not options.remove and (transaction is None or not transaction.flip):
            processes.check_alone(application)
            done += processes.settle(application, renew=True, check_only=options.check)
    return {"changed": bool(done), "message": "; ".join(done) or "All run as they should."}


def _measure(application: Application, options: argparse.Namespace) -> Result:
    return measure(application, options.path, options.rounds)


def _log(application: Application, options: argparse.Namespace) -> Result:
    return {"changed": False, "attempts": audit.last(application.configuration, options.lines)}


def _unlock(application: Application, options: argparse.Namespace) -> Result:
    return reconcile.unlock(application, force=options.force, check=options.check)


def _recover(application: Application, options: argparse.Namespace) -> Result:
    with application.state.locked(wait_seconds=60):
        current = application.state.read()
        if options.order and (current is None or current.order != options.order):
            end = None
        else:
            end = reconcile.reconcile(application, reason="it was interrupted")
        if not options.order:  # at boot
            processes.settle(application)
    if end is None:
        return {"changed": False, "message": "Nothing was interrupted."}
    return {"changed": True, "message": end.message}


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
