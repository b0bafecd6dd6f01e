"""The picture of a run: latency over time, coloured by release, with failures and marks."""

from __future__ import annotations

from pathlib import Path

import numpy
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from .recorder import Columns, Mark

LARGEST_NUMBER_OF_POINTS = 40_000
LARGEST_NUMBER_OF_LEGEND_ENTRIES = 8
LARGEST_NUMBER_OF_LABELLED_MARKS = 30
COLOURS = ("#4269d0", "#efb118", "#3ca951", "#a463f2", "#ff8ab7", "#6cc5b0", "#9c6b4e", "#97bbf5")


def draw(rows: Columns, marks: list[Mark], path: Path, *, title: str) -> None:
    """Draw a run into a PNG file.

    Of many requests the slowest are all drawn, and a sample of the others: outliers are what one looks for.
    """
    figure = Figure(figsize=(14, 7), dpi=110, layout="constrained")
    latency, throughput = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    milliseconds = numpy.maximum(rows.duration_seconds * 1000, 0.01)
    short = numpy.array([not route.long for route in rows.routes] or [True], dtype=bool)[rows.route]
    good = short & (rows.kind == 0)

    for index, release in enumerate(rows.releases):
        chosen = _thin(numpy.flatnonzero(good & (rows.release == index)), milliseconds, len(rows.releases))
        latency.scatter(
            rows.at_seconds[chosen],
            milliseconds[chosen],
            s=3,
            linewidths=0,
            alpha=0.6,
            color=COLOURS[index % len(COLOURS)],
            label=(release or "no release named") if index < LARGEST_NUMBER_OF_LEGEND_ENTRIES else None,
            rasterized=True,
        )
    failed = rows.kind != 0
    if failed.any():
        latency.scatter(
            rows.at_seconds[failed],
            milliseconds[failed],
            s=45,
            marker="x",
            color="#d62728",
            label="failed",
            zorder=5,
        )
    for number, mark in enumerate(marks):
        for axes in (latency, throughput):
            axes.axvline(mark.at_seconds, color="#555555", linewidth=0.8, linestyle="--", zorder=0)
        if number < LARGEST_NUMBER_OF_LABELLED_MARKS:
            latency.annotate(
                mark.label,
                (mark.at_seconds, 1),
                xycoords=("data", "axes fraction"),
                xytext=(2, -3),
                textcoords="offset points",
                rotation=90,
                va="top",
                fontsize=7,
                color="#333333",
            )
    if good.any():
        latency.set_yscale("log")
    latency.set_ylabel("milliseconds")
    latency.set_title(title, fontsize=10, loc="left")
    latency.grid(visible=True, which="major", color="#e5e5e5", linewidth=0.6)
    latency.set_axisbelow(True)
    if len(rows.at_seconds):
        for handle in latency.legend(loc="lower right", fontsize=7).legend_handles:
            if isinstance(handle, PathCollection):
                handle.set_sizes([25])
        ends = (rows.at_seconds + rows.duration_seconds)[good]
        seconds = max(1, int(numpy.ceil(ends.max(initial=1.0))))
        counts, edges = numpy.histogram(ends, bins=seconds, range=(0, seconds))
        throughput.stairs(counts, edges, fill=True, color="#bbbbbb")
    throughput.set_ylabel("answers / s")
    throughput.set_xlabel("seconds since the start")
    figure.savefig(path)


def _thin(chosen: numpy.ndarray, milliseconds: numpy.ndarray, groups: int) -> numpy.ndarray:
    limit = LARGEST_NUMBER_OF_POINTS // max(groups, 1)
    if len(chosen) <= limit:
        return chosen
    slowest = chosen[numpy.argpartition(milliseconds[chosen], -limit // 2)[-limit // 2 :]]
    return numpy.union1d(slowest, chosen[:: max(1, 2 * len(chosen) // limit)])
