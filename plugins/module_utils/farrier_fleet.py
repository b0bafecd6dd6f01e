"""What a deploy to several hosts tells the operator at its end, and before it begins.

A row says what became of one host: `host`, `from` and `to` (releases), `path` (reload, restart or start),
`seconds` and `result`. What is missing or None is shown as "-".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

COLUMNS = ("host", "from", "to", "path", "seconds", "result")


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table with a line for each row, below the names of the columns."""
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
        lines.append("Put them on one: ansible-playbook playbooks/rollback.yml -e release=ID")
    lines.append("Or deploy over it: add -e mixed=accept")
    return "\n".join(lines)


def _cell(row: Row, column: str) -> str:
    value = row.get(column)
    if value is None:
        return "-"
    return f"{float(value):.1f}" if column == "seconds" else str(value)


def _padded(column: str, text: str, width: int) -> str:
    return text.rjust(width) if column == "seconds" else text.ljust(width)
