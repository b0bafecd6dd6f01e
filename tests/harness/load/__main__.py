"""The command line: `python -m tests.harness.load run|mark|rate|stop|status|compare`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import uvloop

from . import control
from .client import Options, Run
from .compare import compare
from .results import describe, write
from .summary import summarise
from .target import TargetRefusedError, make_target

EXIT_FAILED = 1
EXIT_REFUSED = 2


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 1 when a request failed, or 2 when the command cannot be done."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.command(given))
    except (TargetRefusedError, control.ControlError) as error:
        print(f"load: {error}", file=sys.stderr)
        return EXIT_REFUSED


def _run(given: argparse.Namespace) -> int:
    resolve: dict[str, list[str]] = {}
    for name, address in given.resolve:
        resolve.setdefault(name, []).append(address)
    target = make_target(given.url, ca=given.ca, resolve=resolve, allow=given.allow)
    options = Options(
        connections=given.connections,
        websockets=given.websockets,
        events=given.events,
        downloads=given.downloads,
        seconds=given.seconds,
        requests=given.requests,
        per_second=given.rate,
        timeout_seconds=given.timeout_seconds,
        notes=not given.no_notes,
        retry_safe=given.retry_safe,
        control=given.control,
    )
    run = uvloop.run(_drive(Run(target, options)))
    summary = summarise(run.recorder, url=target.url, connections=options.connections)
    path = write(summary, run.recorder, given.output, given.name)
    print(describe(summary))
    print(f"  {path} with .csv.gz and .png beside it")
    if not summary["requests"]:
        print("load: not one request was sent; the run proves nothing", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_FAILED if summary["failed"] else 0


async def _drive(run: Run) -> Run:
    await run.drive()
    return run


def _ask(given: argparse.Namespace) -> int:
    answer = control.ask(given.control, " ".join([given.verb, *given.words]))
    print(json.dumps(answer))
    return 0


def _compare(given: argparse.Namespace) -> int:
    first, second = (json.loads(path.read_text()) for path in (given.first, given.second))
    print(compare(first, second, (given.first.stem, given.second.stem)))
    return 0


def _resolve(text: str) -> tuple[str, str]:
    name, colon, address = text.partition(":")
    if not colon or not name or not address:
        raise argparse.ArgumentTypeError(f"{text!r}: give NAME:ADDRESS")
    return name, address


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text}: give a number above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 5_000_000:
        raise argparse.ArgumentTypeError(f"{text}: give a number from 0 to 5000000")
    return value


def _parser() -> argparse.ArgumentParser:
    defaults = Options()
    parser = argparse.ArgumentParser(prog="python -m tests.harness.load", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    run = verbs.add_parser("run", help="put load on a lab host and check every answer")
    run.set_defaults(command=_run)
    run.add_argument("url", help="https://NAME[:PORT]")
    run.add_argument("--ca", help="the only certificate authority to trust (PEM file)")
    run.add_argument(
        "--resolve",
        type=_resolve,
        action="append",
        default=[],
        metavar="NAME:ADDRESS",
        help="once for each address of a name",
    )
    run.add_argument(
        "--allow", action="append", default=[], metavar="NETWORK", help="a further private network"
    )
    run.add_argument("--connections", type=_count, default=defaults.connections)
    run.add_argument("--websockets", type=_count, default=defaults.websockets)
    run.add_argument("--events", type=_count, default=defaults.events, help="streams of server-sent events")
    run.add_argument("--downloads", type=_count, default=defaults.downloads)
    run.add_argument("--seconds", type=_positive, default=defaults.seconds)
    run.add_argument("--requests", type=_count, default=defaults.requests)
    run.add_argument("--rate", type=_positive, help="at most so many requests a second")
    run.add_argument("--timeout-seconds", type=_positive, default=defaults.timeout_seconds)
    run.add_argument("--no-notes", action="store_true", help="write no notes: the hosts share no database")
    run.add_argument(
        "--retry-safe",
        action="store_true",
        help="begin anew, and count apart, a GET or a stream that was lost because a host went away",
    )
    run.add_argument("--control", type=Path, help="UNIX socket to listen on for mark, status and stop")
    run.add_argument("--output", type=Path, default=Path("build/load"), help="directory of the results")
    run.add_argument("--name", default="load", help="name of the results")

    for verb, text in (
        ("mark", "note that something happens now"),
        ("rate", "change the most requests a second"),
        ("status", "ask"),
        ("stop", "end the run"),
    ):
        command = verbs.add_parser(verb, help=text)
        command.set_defaults(command=_ask, verb=verb)
        command.add_argument("control", type=Path, help="the run's --control")
        command.add_argument("words", nargs="+" if verb in ("mark", "rate") else "*", metavar="WORD")

    side_by_side = verbs.add_parser("compare", help="print two results side by side")
    side_by_side.set_defaults(command=_compare)
    side_by_side.add_argument("first", type=Path)
    side_by_side.add_argument("second", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
