"""Two runs side by side."""

from __future__ import annotations

from typing import Any

PERCENTILES = ("p50", "p90", "p99", "p99.9", "slowest")


def compare(first: dict[str, Any], second: dict[str, Any], names: tuple[str, str]) -> str:
    """Return a table of two summaries, a figure a row, with the ratio of the second to the first."""
    rows: list[tuple[str, float, float]] = [
        ("requests", first["requests"], second["requests"]),
        ("failed", first["failed"], second["failed"]),
        ("requests per second", first["requests_per_second"], second["requests_per_second"]),
    ]
    kinds = sorted(first["failures_by_kind"].keys() | second["failures_by_kind"].keys())
    rows += [
        (f"  {kind}", first["failures_by_kind"].get(kind, 0), second["failures_by_kind"].get(kind, 0))
        for kind in kinds
    ]
    rows += [
        (f"{name} ms", first["milliseconds"][name], second["milliseconds"][name]) for name in PERCENTILES
    ]
    rows.append(("longest gap ms", _longest_gap(first), _longest_gap(second)))
    width = max(12, *(len(name) + 2 for name in names))
    lines = [f"{'':24}{names[0]:>{width}}{names[1]:>{width}}{'ratio':>9}"]
    for label, left, right in rows:
        ratio = f"{right / left:9.3f}" if left else f"{'-':>9}"
        lines.append(f"{label:24}{left:>{width}g}{right:>{width}g}{ratio}")
    return "\n".join(lines)


def _longest_gap(summary: dict[str, Any]) -> float:
    return max((gap["milliseconds"] for gap in summary["gaps"]), default=0.0)
