"""The guarantee holds with the oldest servers that are supported, and with some in between."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import uv

from tests.unit.roles.app_server.host import LIBRARY, Host
from tests.unit.roles.app_server.load import Load
from tests.unit.roles.app_server.test_handover import IMPORT_FAILS, assert_stops_cleanly
from tests.unit.roles.app_server.test_servers import WSGI_APP


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., str]:
    """Return a function that installs packages and returns an import path that finds them first."""

    def install(*packages: str) -> str:
        command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path)]
        subprocess.run([*command, *packages], check=True, env={**os.environ, "UV_SYSTEM_CERTS": "1"})
        return f"{tmp_path}:{LIBRARY}"

    return install


def go_through_reloads(host: Host) -> None:
    """A good release, a broken one, a good one again, under load; then a stop."""
    with Load(host.socket) as load:
        for release, code in [("2", 0), ("broken", 1), ("1", 0)]:
            done = host.deploy(release)
            assert done.returncode == code, done.stderr + host.log.read_text()[-3000:]
            load.wait_for_more(50)
    assert load.failures == []
    assert set(load.releases) == {"1", "2"}
    assert_stops_cleanly(host)


@pytest.mark.parametrize(
    ("worker_class", "gunicorn", "uvicorn"),
    [
        ("handover", "21.2.0", "0.29.0"),
        ("handover_h11", "21.2.0", "0.29.0"),
        ("handover", "23.0.0", "0.34.3"),
        ("handover_h11", "24.1.1", "0.32.1"),
        ("handover", "25.3.0", "0.38.0"),
    ],
)
def test_asgi(
    host: Host, install: Callable[..., str], worker_class: str, gunicorn: str, uvicorn: str
) -> None:
    """Both ends of what is supported are in the lock of somebody."""
    host.write_settings(worker_class=worker_class)
    host.add_release("broken", prologue=IMPORT_FAILS)
    host.start(PYTHONPATH=install(f"gunicorn=={gunicorn}", f"uvicorn=={uvicorn}"))
    assert f"Starting gunicorn {gunicorn}" in host.log.read_text()
    go_through_reloads(host)


@pytest.mark.parametrize("worker", ["0.2.0", "0.3.0"])
def test_older_uvicorn_worker(host: Host, install: Callable[..., str], worker: str) -> None:
    """The hand-over worker builds on the one that the lock has."""
    host.add_release("broken", prologue=IMPORT_FAILS)
    host.start(PYTHONPATH=install("gunicorn==23.0.0", "uvicorn==0.34.3", f"uvicorn-worker=={worker}"))
    go_through_reloads(host)


@pytest.mark.parametrize("gunicorn", ["21.2.0", "23.0.0", "24.1.1", "25.3.0"])
def test_wsgi(host: Host, install: Callable[..., str], gunicorn: str) -> None:
    """gunicorn has changed its threads in 24 and in 25."""
    host.write_settings(worker_class="handover_wsgi")
    add_release_anew(host, "1")
    add_release_anew(host, "2")
    host.add_release("broken", code=WSGI_APP, prologue=IMPORT_FAILS)
    host.start(PYTHONPATH=install(f"gunicorn=={gunicorn}"))
    go_through_reloads(host)


@pytest.mark.parametrize(("gunicorn", "uwsgi"), [("21.2.0", "2.0.23"), ("23.0.0", "2.0.27")])
def test_older_uwsgi(host: Host, install: Callable[..., str], gunicorn: str, uwsgi: str) -> None:
    """Its threads and its hooks are the same."""
    host.write_settings(worker_class="handover_uwsgi")
    add_release_anew(host, "1")
    add_release_anew(host, "2")
    host.add_release("broken", code=WSGI_APP, prologue=IMPORT_FAILS)
    host.start(PYTHONPATH=install(f"gunicorn=={gunicorn}", f"pyuwsgi=={uwsgi}"))
    go_through_reloads(host)


def add_release_anew(host: Host, name: str) -> None:
    """Make a release of an ASGI app one of a WSGI app."""
    (host.directory / "releases" / name / "source" / "project" / "example.py").write_text(WSGI_APP)


@pytest.mark.parametrize(
    ("worker_class", "package"),
    [("handover_hypercorn", "hypercorn==0.17.3"), ("handover_daphne", "daphne==4.1.2")],
)
def test_older_servers(
    make_host: Callable[..., Host], install: Callable[..., str], worker_class: str, package: str
) -> None:
    """With the oldest gunicorn, too."""
    host = make_host(worker_class=worker_class, boot_timeout_seconds=30)
    for name, prologue in (("1", ""), ("2", ""), ("broken", IMPORT_FAILS)):
        host.add_release(name, prologue=prologue)
    host.activate("1")
    host.start(PYTHONPATH=install("gunicorn==21.2.0", package))
    go_through_reloads(host)


@pytest.mark.parametrize("uvicorn", ["0.30.6", "0.34.3"])
def test_stock_worker_of_old_servers(host: Host, install: Callable[..., str], uvicorn: str) -> None:
    """It comes with uvicorn."""
    host.write_settings(worker_class="stock")
    host.start(PYTHONPATH=install("gunicorn==23.0.0", f"uvicorn=={uvicorn}"))
    assert host.get()["code"] == "1"
