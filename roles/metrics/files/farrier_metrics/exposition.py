"""The metrics by name, and the text that the node exporter reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Sample(NamedTuple):
    """One value of a metric; `suffix` is of a histogram."""

    metric: str
    value: float
    labels: Mapping[str, str] = {}
    suffix: str = ""


@dataclass(frozen=True)
class Metric:
    """What a metric means.

    Args:
        kind: `gauge`, `counter` or `histogram`.
        labels: names of its labels.
        help: in a line.
    """

    kind: str
    labels: tuple[str, ...]
    help: str


_APP = ("app",)
METRICS = {
    "farrier_release_info": Metric("gauge", ("app", "release"), "The live release of an app: 1."),
    "farrier_release_live_timestamp_seconds": Metric("gauge", _APP, "When the live release went live."),
    "farrier_deploys_total": Metric(
        "counter", ("app", "result"), "Deploys and rollbacks since the record of an app begins."
    ),
    "farrier_deploy_timestamp_seconds": Metric("gauge", ("app", "result"), "The last of them."),
    "farrier_deploy_under_way": Metric(
        "gauge", _APP, "Whether a deploy is under way, its watch after going live included."
    ),
    "farrier_service_active": Metric(
        "gauge", ("app", "unit"), "Whether the unit is active; of a process, all copies of it."
    ),
    "farrier_service_restarts_total": Metric(
        "counter", ("app", "unit"), "Restarts by systemd, since something had failed."
    ),
    "farrier_workers": Metric("gauge", ("app", "state"), "Workers that are ready, booting or draining."),
    "farrier_workers_wanted": Metric("gauge", _APP, "Workers that there should be."),
    "farrier_worker_deaths_total": Metric(
        "counter", _APP, "Workers that served and ended though nobody had told them to."
    ),
    "farrier_worker_memory_bytes": Metric(
        "gauge",
        ("app", "worker"),
        "Resident memory of a worker; they are numbered in the order of their pids.",
    ),
    "farrier_worker_loop_lag_seconds": Metric(
        "gauge", ("app", "worker"), "Longest delay of a worker's event loop in the last 30 to 50 seconds."
    ),
    "farrier_http_requests_total": Metric(
        "counter",
        ("app", "release", "code"),
        "Requests by their answer; release is empty where nginx answered.",
    ),
    "farrier_http_request_duration_seconds": Metric(
        "histogram", ("app", "release"), "Time from the first byte of a request to the last of its answer."
    ),
    "farrier_drained": Metric("gauge", ("host",), "A host that this edge sends nothing to: 1."),
    "farrier_maintenance": Metric("gauge", _APP, "Whether an app is in maintenance mode on this edge."),
    "farrier_certificate_expiry_timestamp_seconds": Metric(
        "gauge", ("name",), "When a certificate that nginx serves ends."
    ),
    "farrier_backup_timestamp_seconds": Metric(
        "gauge", ("name",), "The newest backup; until there is one, when the repository was made."
    ),
    "farrier_backup_proof_timestamp_seconds": Metric(
        "gauge", ("name",), "The newest proven restore; until there is one, when the repository was made."
    ),
    "farrier_backup_problem": Metric(
        "gauge", ("name",), "Whether the last backup, proof or transfer failed."
    ),
    "farrier_backup_wal_timestamp_seconds": Metric("gauge", (), "Until when the backup host has WAL."),
    "farrier_postgresql_primary": Metric("gauge", (), "Whether PostgreSQL of this host is no replica."),
    "farrier_reboot_required": Metric("gauge", (), "Whether upgraded packages wait for a reboot."),
    "farrier_metrics_errors": Metric("gauge", ("part",), "Whether a part of these metrics could not be had."),
}

_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def render(samples: Iterable[Sample]) -> str:
    """Return the text of samples, metric by metric."""
    by_metric: dict[str, list[str]] = {name: [] for name in METRICS}
    for sample in samples:
        labels = ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in sample.labels.items())
        shown = f"{{{labels}}}" if labels else ""
        by_metric[sample.metric].append(f"{sample.metric}{sample.suffix}{shown} {float(sample.value):.16g}")
    parts = []
    for name, lines in by_metric.items():
        if lines:
            metric = METRICS[name]
            parts += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}", *lines]
    return "\n".join([*parts, ""])
