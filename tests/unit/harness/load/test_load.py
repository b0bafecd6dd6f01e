"""The whole client in a process of its own, as molecule's tests use it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.load import Load, LoadError, control
from tests.harness.load.__main__ import main

from .servers import answer, read_request, serving

CONNECTIONS = 4


class Observatory:
    """Answers as the application in app/ does; `release` can be changed, `broken` makes it answer 502."""

    def __init__(self) -> None:
        self.release = "r1"
        self.broken = False
        self.paths: set[str] = set()

    async def behave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        text = ""
        while True:
            line, body = await read_request(reader)
            method, path, _ = line.split()
            self.paths.add(path.partition("?")[0])
            release = self.release  # read once: a test changes it from another thread
            value = {"release": release, "pid": 1, "status": "ok"}
            if path == "/version":
                value["host"] = "app1"
            status = "200 OK"
            if path == "/echo":
                value |= {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
            elif path.startswith("/notes"):
                text = json.loads(body)["text"] if body else text
                value |= {"id": 1, "text": text}
                status = {"POST": "201 Created", "DELETE": "204 No Content"}.get(method, status)
            if self.broken:
                status = "502 Bad Gateway"
            content = b"" if status.startswith("204") else json.dumps(value).encode()
            writer.write(answer(content, f"X-Release: {release}", status=status))


@pytest.fixture
def observatory(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[tuple[Observatory, str]]:
    """The application's stand-in, in a thread, with TLS; and its URL."""
    loop = asyncio.new_event_loop()
    application = Observatory()
    ports: list[int] = []
    ready, done = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with serving(application.behave, tls[0]) as port:
            ports.append(port)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield application, f"https://localhost:{ports[0]}"
    loop.call_soon_threadsafe(done.set)
    thread.join(10)
    loop.close()


def short_requests(url: str, certificate: tuple[Path, Path], output: Path) -> Load:
    """Return a little load without streams."""
    return Load(
        url,
        ca=certificate[0],
        output=output,
        connections=CONNECTIONS,
        websockets=0,
        events=0,
        downloads=0,
        rate=400,
    )


def test_a_run_without_failures(
    observatory: tuple[Observatory, str], certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """Marks, status, releases and the report arrive where they should."""
    application, url = observatory
    with short_requests(url, certificate, tmp_path) as load:
        load.wait_for_requests(50)
        load.mark("deploy r2")
        application.release = "r2"
        load.wait_for(lambda status: "r2" in status["releases"], what="see r2")
        load.wait_for_requests(50)
        report = load.stop()
    assert report.failed == 0, report
    assert report.failures == []
    assert report.requests >= 100
    assert report.releases == ["r1", "r2"]
    assert report.mark("deploy r2")["requests"] >= 50
    assert report.slowest_milliseconds > 0
    assert report.longest_gap_milliseconds > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["load.csv.gz", "load.json", "load.png"]
    assert "0 of" in str(report)


def test_a_run_with_failures(
    observatory: tuple[Observatory, str], certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """The report names what failed, and after which mark."""
    application, url = observatory
    with short_requests(url, certificate, tmp_path) as load:
        load.wait_for_requests(20)
        load.mark("break it")
        application.broken = True
        load.wait_for(lambda status: status["failed"] > 3, what="fail")
        report = load.stop()
    assert report.failed > 3
    assert report.failures[0]["status"] == 502
    assert report.failures[0]["after_mark"] == "break it"


def test_a_run_against_several_edges(
    observatory: tuple[Observatory, str], certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """One name, two addresses, at the second of which nobody is; hosts without a database in common."""
    application, url = observatory
    with Load(
        url,
        ca=certificate[0],
        resolve={"localhost": ["127.0.0.1", "127.0.0.2"]},
        output=tmp_path,
        connections=4,
        websockets=0,
        events=0,
        downloads=0,
        no_notes=True,
        retry_safe=True,
    ) as load:
        load.wait_for(lambda status: status["answers_by_host"].get("app1", 0) > 20, what="see app1")
        report = load.stop()
    assert report.failed == 0, report
    assert (report.summary["repeated"], report.summary["streams_lost"]) == (0, 0)
    assert report.summary["by_host"]["app1"]["requests"] > 20
    assert application.paths == {"/version", "/healthz", "/echo"}
    assert "host app1: " in str(report)


def test_a_block_that_is_left_early_leaves_results_and_no_process(
    observatory: tuple[Observatory, str], certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """A test that fails in the middle does not leave load running."""

    def leave_early(load: Load) -> None:
        with load:
            load.wait_for_requests(5)
            raise RuntimeError("something else")

    load = short_requests(observatory[1], certificate, tmp_path)
    with pytest.raises(RuntimeError, match="something else"):
        leave_early(load)
    assert (tmp_path / "load.json").exists()
    with pytest.raises(LoadError, match="no load run answers"):
        load.status()


def test_a_client_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The message is the client's own."""
    with pytest.raises(LoadError, match=r"8\.8\.8\.8"), Load("https://8.8.8.8", output=tmp_path):
        pass


def test_the_command_line(
    observatory: tuple[Observatory, str], certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """A run bounded by its number of requests; exit code 0, and 1 when the target breaks its promise."""
    application, url = observatory
    arguments = [
        *("run", url, "--ca", str(certificate[0]), "--output", str(tmp_path), "--requests", "40"),
        *("--connections", "4", "--websockets", "0", "--events", "0", "--downloads", "0"),
    ]
    assert main(arguments) == 0
    assert 40 <= json.loads((tmp_path / "load.json").read_text())["requests"] < 60
    application.broken = True
    assert main(arguments) == 1


def test_the_rate_changes_while_it_runs(
    observatory: tuple[Observatory, str], certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """Clients that are few most of the time are many when it matters; what is no rate changes nothing."""
    with short_requests(observatory[1], certificate, tmp_path) as load:
        load.change_rate(1)
        for wrong in ("0", "-1", "nan", "inf", "many", ""):
            with pytest.raises(control.ControlError):
                control.ask(load._control, f"rate {wrong}")
        load.wait_for_requests(1)
        before = load.status()
        load.wait_for_requests(1)
        # The first may have had its turn at the rate of before.
        assert load.status()["requests"] - before["requests"] <= CONNECTIONS
        load.change_rate(10_000)
        load.wait_for_requests(200, within_seconds=20)
        assert load.stop().failed == 0


def test_an_unknown_command_is_refused(
    observatory: tuple[Observatory, str], certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """And the run goes on."""
    with short_requests(observatory[1], certificate, tmp_path) as load:
        with pytest.raises(control.ControlError, match="give `mark LABEL`"):
            control.ask(load._control, "explode")
        load.wait_for_requests(5)
        assert load.stop().failed == 0
