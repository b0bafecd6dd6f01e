"""What tests say of samples."""

from __future__ import annotations

from collections.abc import Iterable

from farrier_metrics.exposition import METRICS, Sample


def values(samples: Iterable[Sample]) -> dict[str, float]:
    """Return values by name and labels, as in `name{a,b}`, of metrics and labels that are documented."""
    found = {}
    for sample in samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        assert tuple(labels) == METRICS[sample.metric].labels
        name = sample.metric.removeprefix("farrier_") + sample.suffix
        shown = ",".join(sample.labels.values())
        found[f"{name}{{{shown}}}" if shown else name] = float(sample.value)
    return found
