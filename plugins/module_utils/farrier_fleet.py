"""What a deploy to several hosts tells the operator at its end, and before it begins.

A row says what became of one host: `host`, `from` and `to` (releases), `path` (reload, restart or start),
`seconds`, `result`, and for a failed one `reason`. What is missing or None is shown as "-".
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

COLUMNS = ("host", "from", "to", "path", "seconds", "result")
GOOD_RESULTS = ("live", "unchanged")


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table with a line for each row, below the names of the columns."""
    cells = [COLUMNS, *(tuple(_cell(row, column) for column in COLUMNS) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(_padded, COLUMNS, line, widths)).rstrip() for line in cells]


def failure(app: str, rows: Sequence[Row]) -> str:
    """Say which hosts failed, in what and why, and what the others run; "" when none did."""
    failed = [row for row in rows if row.get("result") not in GOOD_RESULTS]
    if not failed:
        return ""
    lines = [f"{app}: {len(failed)} of {len(rows)} hosts failed."]
    for row in failed:
        way = f", from {_cell(row, 'from')} to {_cell(row, 'to')}" if row.get("to") else ""
        lines.append(f"{_cell(row, 'host')}: {row.get('result') or 'no result'}{way}")
        if row.get("reason"):
            lines.append(textwrap.indent(str(row["reason"]), "    "))
    for row in rows:
        if row not in failed:
            release = row.get("to") or row.get("from")
            lines.append(f"{_cell(row, 'host')}: {row['result']}" + (f", runs {release}" if release else ""))
    return "\n".join(lines)


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
        lines.append("Put them on one: ansible-playbook playbooks/rollback.yml -e release=ID")
    lines.append("Or deploy over it: add -e mixed=accept")
    return "\n".join(lines)


def _cell(row: Row, column: str) -> str:
    value = row.get(column)
    if value in (None, ""):
        return "-"
    return f"{float(value):.1f}" if column == "seconds" else str(value)


def _padded(column: str, text: str, width: int) -> str:
    return text.rjust(width) if column == "seconds" else text.ljust(width)
