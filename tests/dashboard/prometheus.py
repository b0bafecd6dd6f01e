"""Debian's Prometheus with the kit's pages, and with metrics that were never scraped."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CONSOLES = ROOT / "roles/monitoring/files/consoles"
# `tools/prometheus` unpacks it there. Another release of Debian may be tried by the variable.
PROGRAMS = Path(os.environ.get("FARRIER_PROMETHEUS", ROOT / "build/prometheus")) / "usr/bin"
START_SECONDS = 60.0
# A series that ends is gone sooner than after the usual 5 minutes, as when a scrape finds it gone.
LOOKBACK_SECONDS = 30


class Samples:
    """What a scrape would have brought, in the text format of OpenMetrics."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, name: str, values: Iterable[tuple[float, float]], /, **labels: str) -> None:
        """Add a series.

        Args:
            name: of the metric.
            values: moment and value of each sample.
            labels: of the series.
        """
        pairs = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
        self._lines.extend(f"{name}{{{pairs}}} {value:.10g} {at:.3f}" for at, value in values)

    def text(self) -> str:
        """Return all of it."""
        return "\n".join([*self._lines, "# EOF", ""])


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def free_port() -> int:
    """Return a port of the loopback that is free."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def prometheus(
    directory: Path, samples: Samples, rules: list[dict[str, Any]], prefix: str = ""
) -> Iterator[str]:
    """Run Prometheus on these samples, and yield the address of the pages once its rules are evaluated.

    Args:
        directory: empty one for all that it keeps.
        samples: what it knows.
        rules: alerting rules.
        prefix: path below which everything lies, as behind a proxy.
    """
    assert (PROGRAMS / "promtool").exists(), "Prometheus is missing: run tools/prometheus"
    (directory / "samples").write_text(samples.text())
    subprocess.run(
        [
            PROGRAMS / "promtool",
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            directory / "samples",
            directory / "data",
        ],
        check=True,
        capture_output=True,
    )
    # YAML is a superset of JSON.
    (directory / "rules").write_text(
        json.dumps({"groups": [{"name": "test", "interval": "200ms", "rules": rules}]})
    )
    # The samples reach into the future, and those of the rules come before their end.
    storage = {"tsdb": {"out_of_order_time_window": "1h"}}
    (directory / "configuration").write_text(
        json.dumps({"rule_files": [str(directory / "rules")], "storage": storage})
    )
    address = f"http://127.0.0.1:{(port := free_port())}{prefix}"
    process = subprocess.Popen(
        [
            PROGRAMS / "prometheus",
            f"--config.file={directory}/configuration",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            f"--web.external-url={address}/",
            f"--web.console.templates={CONSOLES}",
            f"--web.console.libraries={CONSOLES}",
            f"--query.lookback-delta={LOOKBACK_SECONDS}s",
            "--log.level=warn",
        ],
        stderr=(directory / "log").open("w"),
    )
    try:
        until = time.monotonic() + START_SECONDS
        while not is_ready(address):
            assert process.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < until, (directory / "log").read_text()
            time.sleep(0.1)
        yield f"{address}/consoles"
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def is_ready(address: str) -> bool:
    """Return whether Prometheus answers and has evaluated its rules; each test has one that always fires."""
    query = urllib.parse.urlencode({"query": "ALERTS_FOR_STATE"})
    try:
        with urllib.request.urlopen(f"{address}/api/v1/query?{query}") as answer:
            return bool(json.load(answer)["data"]["result"])
    except (urllib.error.URLError, ConnectionError):
        return False
