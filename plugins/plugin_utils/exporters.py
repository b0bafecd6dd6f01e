"""Debian's exporters of Prometheus."""

from __future__ import annotations

# By the job that asks: the port, and the group whose hosts have it; without a group, all.
EXPORTERS = {
    "node": (9100, ""),
    "nginx": (9113, "edge"),
    "postgresql": (9187, "database"),
    "valkey": (9121, "cache"),
}
