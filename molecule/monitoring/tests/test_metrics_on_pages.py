"""A deploy under load, as operators see it: by the SSH tunnel of docs/monitoring.md, in a browser."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ADDRESS, DOMAIN, INVENTORY, changed_app, query, wait_for
from testinfra.host import Host

from tests.harness.browser import Page, browser
from tests.harness.connections import SSH_CONFIG
from tests.harness.deploys import run
from tests.harness.meanwhile import repeated
from tests.harness.outside import Outside

# After test_metrics.py, which counts deploys, and before test_monitor.py, which makes watch12 a monitor, too.
RUNS_LAST = True
APP = "consoles/app.html?app=notes&hours=1"
LIVE = "farrier_release_live_timestamp_seconds * on (app) group_right () farrier_release_info"


@pytest.fixture
def prometheus() -> Iterator[str]:
    """Where the tunnel ends on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    forward = ["-N", "-oExitOnForwardFailure=yes", f"-L127.0.0.1:{port}:127.0.0.1:9090"]
    with subprocess.Popen(["ssh", "-F", str(SSH_CONFIG), *forward, "watch13"]) as tunnel:
        try:
            wait_for(lambda: _is_open(port), lambda: "no tunnel")
            yield f"http://127.0.0.1:{port}"
        finally:
            tunnel.terminate()


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask() -> int:
    """Ask the app as a client does; return the status of its answer."""
    return Outside(ADDRESS).https(DOMAIN, "/answer").status


def show(page: Page, url: str) -> None:
    """Open a page, and wait until its script has drawn it."""
    page.open(url)
    wait_for(lambda: page.evaluate("document.body?.dataset.drawn"), lambda: "the page is not drawn")


def shown(page: Page, url: str) -> tuple[list[float], str]:
    """When deploys went live, by the lines in the first graph of the page, and the legend of that graph."""
    show(page, url)
    lines = "document.querySelector('.graph').querySelectorAll('line.deploy')"
    moments = page.evaluate(f"[...{lines}].map(line => Number(line.dataset.at))")
    return moments, page.text(".graph .legend")


def test_a_deploy_under_load_is_seen_where_it_was(prometheus: str, monitor: Host, tmp_path: Path) -> None:
    """With the requests that the new release has answered. None has failed."""
    url = f"{prometheus}/{APP}"
    [before] = query(monitor, LIVE)
    with repeated(ask, every_seconds=0.05) as statuses, browser(tmp_path / "profile") as page:
        deployed = run(INVENTORY, "deploy", app="notes", apps=[changed_app(tmp_path / "application")])
        assert not deployed.failed, deployed.output
        asked = len(statuses)
        found: tuple[list[float], str, Any] = ([], "", None)

        def is_seen() -> bool:
            nonlocal found
            [live] = query(monitor, LIVE)
            moments, legend = shown(page, url)
            found = moments, legend, live
            is_marked = any(abs(at - float(live["value"][1])) < 2 for at in moments)
            is_new = live["metric"]["release"] != before["metric"]["release"]
            return is_new and is_marked and live["metric"]["release"] in legend

        wait_for(is_seen, lambda: str(found))
        show(page, f"{prometheus}/consoles/index.html")
        assert found[2]["metric"]["release"] in page.text("main")
    assert len(statuses) > asked > 0
    assert set(statuses) == {200}
    assert page.complaints == []
