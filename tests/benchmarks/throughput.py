"""Requests per second through nginx with TLS and keep-alive, against bare `uvicorn --workers`, on one host.

Both serve the same release with the same number of workers and log every request to the journal; wrk asks
them in turn, round after round, so that what else the machine does falls on both. The bar is a ratio of
0.75. A uvicorn that logs nothing is measured beside them, to show what is left to gain. wrk finds the URL's
name in /etc/hosts, where `make demo` has put it.
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

BAR = 0.75
UNIT = "farrier-benchmark-uvicorn-{port}"
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
    """Print a line a round and the ratio of the medians; exit 1 when it is under the bar."""
    parser = arguments(__doc__)
    parser.add_argument("--path", default="/version")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--port", type=int, default=18380, help="for uvicorn, on the host")
    given = parser.parse_args()
    remote = Remote(given.host, given.ssh)
    with (
        bare_uvicorn(remote, given.app, given.port) as bare_url,
        bare_uvicorn(remote, given.app, given.port + 1, "--no-access-log") as silent_url,
    ):
        urls = {"uvicorn": bare_url, "uvicorn without log": silent_url, "nginx": given.url}
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
    medians = {name: statistics.median(values) for name, values in figures.items()}
    ratio = medians["nginx"] / medians["uvicorn"]
    path = ROOT / "build/benchmarks/http.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"requests_per_second": figures, "ratio": ratio}, indent=1) + "\n")
    print(
        f"nginx with TLS and keep-alive: {medians['nginx']:.0f} requests/s,"
        f" bare uvicorn: {medians['uvicorn']:.0f}/s, ratio {ratio:.2f} (bar: at least {BAR});"
        f" without its log: {medians['uvicorn without log']:.0f}/s"
    )
    return 0 if ratio >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
