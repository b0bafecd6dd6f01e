"""The files that a run leaves: NAME.json (summary), NAME.csv.gz (every request), NAME.png (the picture)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .picture import draw
from .recorder import Recorder


def write(summary: dict[str, Any], recorder: Recorder, directory: Path, name: str) -> Path:
    """Write the three files and return the path of the summary."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = recorder.columns()
    rows.write_csv(directory / f"{name}.csv.gz")
    draw(rows, recorder.marks, directory / f"{name}.png", title=f"{name}: {headline(summary)}")
    path = directory / f"{name}.json"
    path.write_text(json.dumps(summary, indent=1) + "\n")
    return path


def headline(summary: dict[str, Any]) -> str:
    """Return the run in a line."""
    milliseconds = summary["milliseconds"]
    return (
        f"{summary['failed']} of {summary['requests']:,} requests failed".replace(",", " ")
        + f" · {summary['requests_per_second']:.0f}/s for {summary['seconds']:.1f} s"
        + f" · p50 {milliseconds['p50']:.1f}, p99 {milliseconds['p99']:.1f},"
        + f" slowest {milliseconds['slowest']:.0f} ms"
    )


def describe(summary: dict[str, Any]) -> str:
    """Return the run as a text of a screen for a person."""
    lines = [headline(summary)]
    for kind, count in summary["failures_by_kind"].items():
        lines.append(f"  {count} {kind}")
    if summary["repeated"] or summary["streams_lost"]:
        lines.append(
            f"  {summary['repeated']} repeated at another address,"
            f" {summary['streams_lost']} streams lost and begun anew"
        )
    for failure in summary["failures"][:5]:
        lines.append(
            f"  FAILED at {failure['at_seconds']:.3f} s:"
            f" {failure['request']} {failure['kind']}: {' '.join(failure['detail'].split())[:200]}"
            + (f" [release {failure['release']}]" if failure["release"] else "")
            + (f" (after {failure['after_mark']!r})" if failure["after_mark"] else "")
        )
    for release, seen in summary["by_release"].items():
        lines.append(
            f"  release {release}: {seen['requests']} answers,"
            f" {seen['first_seconds']} s to {seen['last_seconds']} s"
        )
    for host, seen in summary["by_host"].items():
        lines.append(f"  host {host}: {seen['requests']} answers that name it")
    for mark in summary["marks"]:
        lines.append(
            f"  {mark['at_seconds']:8.3f} s {mark['label']}: {mark['failed']} of {mark['requests']} failed,"
            f" slowest {mark['milliseconds']['slowest']:.0f} ms,"
            f" longest gap {mark['longest_gap_milliseconds']:.0f} ms"
        )
    counters = ", ".join(f"{name} {count}" for name, count in summary["counters"].items())
    return "\n".join([*lines, f"  {counters}"])
