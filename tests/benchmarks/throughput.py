"""Requests per second through nginx with TLS and keep-alive, against two others on the same host.

Against bare `uvicorn --workers`, which serves the same release with the same number of workers and logs every
request to the journal, the bar is a ratio of 0.75; one that logs nothing is measured beside it. Against a
second nginx in front of the same app, whose configuration has nothing but TLS, a certificate and kept
connections, the bar is 0.88. wrk asks all of them in turn, round after round, so that what else the machine
does falls on all. It finds the URL's name in /etc/hosts, where `make demo` has put it.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.remote import ROOT, Remote, arguments

UVICORN_BAR = 0.75
NGINX_BAR = 0.88
UNIT = "farrier-benchmark-{port}"
BARE_NGINX = """
user www-data;
worker_processes auto;
worker_rlimit_nofile 4096;
daemon off;
pid /run/{unit}.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 10000;
    upstream app {{
        server unix:{socket};
        keepalive 64;
        keepalive_requests 10000;
    }}
    server {{
        listen {address}:{port} ssl http2;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
        }}
    }}
}}
"""
START_SECONDS = 30.0

# Read as the app's user from the file that gunicorn reads too: secrets do not belong on a command line.
WITH_ENVIRONMENT = """
import json, os, sys
with open(sys.argv[1]) as file:
    os.environ.update(json.load(file))
os.execv(sys.argv[2], sys.argv[2:])
"""


class BenchmarkError(Exception):
    """A figure would not mean anything."""


@contextmanager
def bare_uvicorn(remote: Remote, app: str, port: int, *options: str) -> Iterator[str]:
    """Run uvicorn alone on the host for the time of a `with` block; gives its URL."""
    unit = UNIT.format(port=port)
    settings = remote.gunicorn_settings(app)
    release = remote.run("readlink", "-f", f"/srv/{app}/current").strip()
    address = remote.address()
    remote.run(
        *("systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--uid={app}", f"--gid={app}"),
        f"--property=StateDirectory=farrier/{app}",
        f"--property=WorkingDirectory={release}/source/{settings['subdir']}",
        f"--setenv=RELEASE_ID={release.rpartition('/')[2]}",
        *("/usr/bin/python3", "-c", WITH_ENVIRONMENT, settings["environment_file"]),
        *(f"{release}/.venv/bin/python", "-m", "uvicorn", settings["module"]),
        *("--host", address, "--port", str(port), "--workers", str(settings["workers"])),
        *options,
    )
    url = f"http://{address}:{port}"
    try:
        wait_until_it_answers(url)
        yield url
    finally:
        remote.run("systemctl", "stop", unit)


@contextmanager
def bare_nginx(remote: Remote, app: str, port: int) -> Iterator[None]:
    """Run a second nginx, with nothing but what it cannot do without, for the time of a `with` block."""
    unit = UNIT.format(port=port)
    path = f"/run/{unit}.conf"
    live = remote.run("nginx", "-T")
    site = live.partition(f"upstream farrier_{app} {{")[2]
    values = {
        name: found[1]
        for name, pattern in {
            "socket": r"server unix:(\S+)",
            "certificate": r"ssl_certificate (\S+);",
            "key": r"ssl_certificate_key (\S+);",
        }.items()
        if (found := re.search(pattern, site))
    }
    address = remote.address()
    remote.write(path, BARE_NGINX.format(unit=unit, address=address, port=port, **values))
    remote.run("systemd-run", "--quiet", "--collect", f"--unit={unit}", "nginx", "-c", path)
    try:
        wait_until_it_answers(f"http://{address}:{port}")
        yield
    finally:
        remote.run("systemctl", "stop", unit)
        remote.run("rm", path)


def wait_until_it_answers(url: str) -> None:
    """Wait until anything but a refusal comes from `url`.

    Raises:
        BenchmarkError: when nothing has after 30 s.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError:
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{url} does not answer: {error}") from error
            time.sleep(0.1)


def requests_per_second(url: str, *, connections: int, seconds: int) -> float:
    """Load `url` with wrk and return what it measured.

    Raises:
        BenchmarkError: when any answer was an error.
    """
    command = ["wrk", "--threads", "2", "--connections", str(connections), "--duration", f"{seconds}s", url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return read_wrk(output)


def read_wrk(output: str) -> float:
    """Return the requests per second that wrk printed.

    Raises:
        BenchmarkError: when there is no such figure, or any answer was an error.
    """
    found = re.search(r"^Requests/sec:\s+([\d.]+)$", output, re.MULTILINE)
    if found is None or "Socket errors" in output or "Non-2xx" in output:
        raise BenchmarkError(f"wrk met errors:\n{output}")
    return float(found[1])


def main() -> int:
    """Print a line a round and the ratios; exit 1 when one of them is under its bar."""
    parser = arguments(__doc__)
    parser.add_argument("--path", default="/version")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--port", type=int, default=18380, help="the first of three on the host")
    given = parser.parse_args()
    remote = Remote(given.host, given.ssh)
    with (
        bare_uvicorn(remote, given.app, given.port) as bare_url,
        bare_uvicorn(remote, given.app, given.port + 1, "--no-access-log") as silent_url,
        bare_nginx(remote, given.app, given.port + 2),
    ):
        urls = {
            "nginx": given.url,
            "bare uvicorn": bare_url,
            "uvicorn without log": silent_url,
            "bare nginx": f"{given.url}:{given.port + 2}",
        }
        figures: dict[str, list[float]] = {name: [] for name in urls}
        for url in urls.values():
            requests_per_second(url + given.path, connections=given.connections, seconds=1)
        for number in range(1, given.rounds + 1):
            for name, url in urls.items():
                figures[name].append(
                    requests_per_second(
                        url + given.path, connections=given.connections, seconds=given.seconds
                    )
                )
            print(f"round {number}: " + ", ".join(f"{name} {figures[name][-1]:.0f}/s" for name in urls))
    ratios = {
        name: statistics.median(
            kit / other for kit, other in zip(figures["nginx"], figures[name], strict=True)
        )
        for name in urls
    }
    path = ROOT / "build/benchmarks/http.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"requests_per_second": figures, "ratios": ratios}, indent=1) + "\n")
    print(
        f"nginx with TLS and keep-alive: {statistics.median(figures['nginx']):.0f} requests/s;"
        f" {ratios['bare uvicorn']:.2f} of bare uvicorn (bar: {UVICORN_BAR}),"
        f" {ratios['uvicorn without log']:.2f} of one without log,"
        f" {ratios['bare nginx']:.2f} of nginx at its barest in front of the same app (bar: {NGINX_BAR})"
    )
    return 0 if ratios["bare uvicorn"] >= UVICORN_BAR and ratios["bare nginx"] >= NGINX_BAR else 1


if __name__ == "__main__":
    sys.exit(main())
