"""The outcome of a deploy or a rollback on each of its hosts, from the registered results of its tasks.

A host's registered results are `__release_PHASE` for each of PHASES and `__release_return`, as the action
plugins return them, and none of them where the host did not get so far.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PHASES = (
    "begin",
    "preparation",
    "offer",
    "copy",
    "rebuild",
    "plan",
    "drain",
    "activation",
    "rotation",
    "soak",
)
HostVariables = Mapping[str, Any]
Row = Mapping[str, Any]

COLUMNS = ("host", "from", "to", "path", "seconds", "result")


@dataclass(frozen=True)
class Choices:
    """What the operator has decided beforehand.

    Args:
        accept_mixed: deploy although the hosts run several releases.
        skip_unreachable: leave out hosts that do not answer.
    """

    accept_mixed: bool = False
    skip_unreachable: bool = False


def results(host: HostVariables) -> dict[str, Mapping[str, Any]]:
    """Return what is registered of each phase that was reached and not skipped, in their order."""
    found = {phase: host.get(f"__release_{phase}") for phase in (*PHASES, "return")}
    reached = {phase: result for phase, result in found.items() if result and not result.get("skipped")}
    for phase in ("drain", "rotation"):
        refused = [result for result in _of_edges(host, phase) if "problem" in result]
        reached |= {phase: refused[0]} if refused else {}
    return reached


def _of_edges(host: HostVariables, phase: str) -> list[Mapping[str, Any]]:
    """Return what edges have said of this host: each has answered once for all that it was asked about."""
    answers = (host.get(f"__release_{phase}") or {}).get("results", [])
    return [answer for answer in answers if host["inventory_hostname"] in answer["item"]["value"]]


def hosts_to_drain(hosts: Mapping[str, HostVariables]) -> dict[str, list[str]]:
    """Return, by edge, the hosts that it must not ask while they get their release."""
    return _by_edge({name: host.get("__release_leaves", []) for name, host in hosts.items()})


def hosts_drained(hosts: Mapping[str, HostVariables]) -> dict[str, list[str]]:
    """Return, by edge, the hosts that this rollout has taken out of its rotation."""
    return _by_edge(
        {
            name: [
                answer["item"]["key"]
                for answer in _of_edges(host, "drain")
                if name in answer.get("drained_by_us", [])
            ]
            for name, host in hosts.items()
        }
    )


def _by_edge(edges: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for host, its_edges in edges.items():
        for edge in its_edges:
            found.setdefault(edge, []).append(host)
    return found


def parts(hosts: Mapping[str, HostVariables], app: str) -> dict[str, dict[str, Any]]:
    """Return what each host has to do for a release that was begun, by host, without those that have it.

    The first host of each platform builds it for the others; a host of an unknown one builds its own.

    Args:
        hosts: variables of every host of the rollout.
        app: its name; others may have begun with another one before.

    Returns:
        `builder`, the host that builds it; `is_shared`, whether that is for several hosts; and `migrates`,
        for the first host alone.
    """
    begun = {name: host.get("__release_begin") or {} for name, host in hosts.items()}
    new = {name: one for name, one in begun.items() if one.get("new") and one.get("app") == app}
    of_platform: dict[str, str] = {}
    builders = {
        name: of_platform.setdefault(one["platform"], name) if one.get("platform") else name
        for name, one in new.items()
    }
    counts = Counter(builders.values())
    first = next(iter(new), None)
    return {
        name: {"builder": builder, "is_shared": counts[builder] > 1, "migrates": name == first}
        for name, builder in builders.items()
    }


def takes_part(host: HostVariables) -> bool:
    """Tell whether the host has the app at all."""
    return bool(results(host))


def is_left_out(host: HostVariables, choices: Choices) -> bool:
    """Tell whether a host did not answer from the start, and the operator goes on without it."""
    first = next(iter(results(host).values()), {})
    return choices.skip_unreachable and bool(first.get("unreachable_host"))


def problems(
    hosts: Mapping[str, HostVariables], choices: Choices, to_come: Collection[str] = ()
) -> dict[str, str]:
    """Return why the rollout must not go on, by host; "" for what is no single host's fault.

    Args:
        hosts: variables of every host of the rollout.
        choices: of the operator.
        to_come: hosts whose turn is now or later; the others have to be done.
    """
    found: dict[str, str] = {}
    live: dict[str, str | None] = {}
    for name, host in hosts.items():
        if is_left_out(host, choices):
            continue
        reached = results(host)
        for phase in PHASES:
            if problem := reached.get(phase, {}).get("problem"):
                found[name] = str(problem)
                if reached[phase].get("unreachable_host") and phase == next(iter(reached)):
                    found[name] += f"\nNext: bring {name} back, or go without it with -e unreachable=skip"
                if phase == "rotation":
                    found[name] += f"\nNext: ansible-playbook farrier.kit.drain -e host={name} -e drain=off"
                break
        # A host that has the release already is one of a deploy that goes on.
        if reached.get("begin", {}).get("new"):
            live[name] = reached["begin"].get("from")
    message = "" if choices.accept_mixed else mixed(live)
    if message:
        found = {"": message, **found}
    if not found:
        undone = [name for name in live if name not in to_come and "activation" not in results(hosts[name])]
        found = dict.fromkeys(undone, "its deploy did not finish; see the error above")
    return found


def soak_failure(
    answers: Iterable[Mapping[str, Any]], release: str, live: str | None, error_percent_max: float | None
) -> str:
    """Return why a host that was watched after it got a release is not good enough, or "".

    Args:
        answers: of each edge, how many `requests` of the app it has had meanwhile, and `app_errors` and
            `edge_errors` among them; empty for one that was not asked.
        release: that went live.
        live: that is live now.
        error_percent_max: the largest share of errors, in percent, or None for any.
    """
    if live != release:
        return f"{release} did not stay live; {live or 'nothing'} is live"
    counts = list(answers)
    requests, by_app, by_edge = (
        sum(count.get(key, 0) for count in counts) for key in ("requests", "app_errors", "edge_errors")
    )
    if error_percent_max is None or (by_app + by_edge) * 100 <= requests * error_percent_max:
        return ""
    return (
        f"of {requests} requests while it was watched, the app answered {by_app} with an error of its own "
        f"(5xx), and gave no answer to {by_edge} (502 or 504 from nginx); release_error_percent_max is "
        f"{error_percent_max:g}"
    )


def row(name: str, host: HostVariables, choices: Choices) -> dict[str, Any]:
    """Return a line of the table at the end: host, from, to, path, seconds, result."""
    reached = results(host)
    activation = reached.get("activation", {})
    begin = reached.get("begin", activation)  # a host alone does all in one
    is_problem = any("problem" in reached.get(phase, {}) for phase in PHASES)
    seconds = sum(activation.get("phases", {}).values())
    returned = reached.get("return", {})
    is_back = bool(returned) and "problem" not in returned
    if is_left_out(host, choices):
        result = "skipped"
    elif "problem" in reached.get("rotation", {}):
        result = "STILL DRAINED"
    elif "problem" in returned:
        result = "NOT ROLLED BACK"
    elif returned:
        result = "rolled back"
    elif is_problem:
        result = "failed"
    elif begin.get("new") is False:
        result = "unchanged"
    elif activation:
        result = "would go live" if activation.get("check") else "live"
    else:
        result = "not reached"
    origin = begin.get("from", activation.get("from"))
    wanted = activation.get("release") or begin.get("release")
    return {
        "host": name,
        "from": origin if begin.get("new", True) else wanted,
        "to": origin if is_back or result in ("failed", "not reached") else wanted,
        "path": activation.get("how") or "-",
        "seconds": seconds,
        "result": result,
    }


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table with a line for each row, below the names of the columns; None is "-"."""
    cells = [COLUMNS, *(tuple(_cell(row, column) for column in COLUMNS) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(_padded, COLUMNS, line, widths)).rstrip() for line in cells]


def mixed(releases: Mapping[str, str | None]) -> str:
    """Say that hosts run different versions of an app and what can be done; "" when all run the same.

    Args:
        releases: The live release by host, None where there is none. Two ids that differ in the time alone,
            which is before the first hyphen, are of one version.
    """
    versions = {release and release.partition("-")[2] for release in releases.values()}
    if len(versions) < 2:
        return ""
    lines = ["The hosts do not run the same release:"]
    lines += [f"    {host}: {release or 'none'}" for host, release in releases.items()]
    if None not in versions:
        lines.append("Bring them to one release: ansible-playbook farrier.kit.rollback -e release=ID")
    lines.append("Or deploy over it: add -e mixed=accept")
    return "\n".join(lines)


def _cell(row: Row, column: str) -> str:
    value = row.get(column)
    if value is None:
        return "-"
    return f"{float(value):.1f}" if column == "seconds" else str(value)


def _padded(column: str, text: str, width: int) -> str:
    return text.rjust(width) if column == "seconds" else text.ljust(width)
