"""Metrics: one truth over several workers, through their replacement, in bounded space."""

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from servers import Gunicorn, Server, listen, wait_until

from observatory.metrics_store import is_running, process_name


def scrape(server: Server) -> dict[str, Metric]:
    """Metrics by name, as a Prometheus server reads them."""
    return {family.name: family for family in text_string_to_metric_families(server.get("/metrics").text)}


def requests(families: dict[str, Metric], **labels: str) -> float:
    """Requests counted with these labels, over all others."""
    return sum(
        sample.value
        for family in families.values()
        for sample in family.samples
        if sample.name == "observatory_requests_total" and labels.items() <= sample.labels.items()
    )


def ask_for_pid(server: Server) -> int:
    """Pid of the worker that answers."""
    return server.get("/version").json()["pid"]


def scrape_when_counted(server: Server, asked: int) -> dict[str, Metric]:
    """Scrape when so many requests for /version are counted: a worker counts just after it has answered."""
    wait_until(lambda: requests(scrape(server), route="/version") == asked, f"{asked} requests are counted")
    return scrape(server)


def test_counts_of_all_workers_survive_them(tmp_path: Path) -> None:
    """A reload replaces workers: nothing counted is lost or doubled, and no file of theirs stays."""
    asked = 0
    with listen() as listener:
        for generation in (1, 2, 3):
            with Server(listener, tmp_path, f"release-{generation}", workers=2) as server:
                pids: set[int] = set()
                while len(pids) < 2:  # at once: one after the other, one worker would answer all
                    with ThreadPoolExecutor(8) as pool:
                        pids |= set(pool.map(ask_for_pid, [server] * 40))
                    asked += 40
                families = scrape_when_counted(server, asked)
                timed = families["observatory_response_start_seconds"].samples
                counts = [
                    s.value for s in timed if s.name.endswith("_count") and s.labels["route"] == "/version"
                ]
                assert counts == [asked]
                assert families["observatory_worker_starts"].samples[0].value == 2 * generation
                alive = families["observatory_worker_started_timestamp_seconds"].samples
                assert {s.labels["worker"] for s in alive} == {str(pid) for pid in pids}
                assert {s.labels["release"] for s in alive} == {f"release-{generation}"}
                # Four kinds of metrics for each of two workers, and what is left of those before.
                assert len(list((tmp_path / "metrics").glob("*.db"))) == 8 + (2 if generation > 1 else 0)


def workers_after(server: Server, former: set[str]) -> set[str]:
    """Wait until two workers that are none of the former ones live, and no other."""

    def new_workers() -> set[str] | None:
        try:
            started = scrape(server)["observatory_worker_started_timestamp_seconds"].samples
        except httpx.TransportError:  # the stock worker drops a request now and then at a reload
            return None
        workers = {sample.labels["worker"] for sample in started}
        return workers if len(workers) == 2 and not workers & former else None

    return wait_until(new_workers, "two new workers, and only they")


def test_counts_through_reloads_of_gunicorn(tmp_path: Path) -> None:
    """HUP replaces the workers of a master that goes on: counts go on, files of former workers go."""
    with listen() as listener, Gunicorn(listener, tmp_path, "release-1", workers=2) as gunicorn:
        former: set[str] = set()
        for asked in (1, 2, 3):
            replaced = workers_after(gunicorn, former)
            gunicorn.get("/version")
            scrape_when_counted(gunicorn, asked)
            former |= replaced
            gunicorn.process.send_signal(signal.SIGHUP)
        workers_after(gunicorn, former)
        assert len(list((tmp_path / "metrics").glob("*.db"))) == 10


def test_a_killed_worker_keeps_its_counts(tmp_path: Path) -> None:
    """A worker that is killed leaves no one to tidy up, but its counts are true."""
    with listen() as listener, Server(listener, tmp_path, "release-1") as server:
        server.get("/version")
        scrape_when_counted(server, 1)
        server.process.kill()
        server.process.wait()
        (tmp_path / "metrics" / "counter_1-1.db").touch()  # killed while it made its file
        with Server(listener, tmp_path, "release-2") as following:
            families = scrape(following)
    assert requests(families, route="/version") == 1
    assert [
        s.labels["release"] for s in families["observatory_worker_started_timestamp_seconds"].samples
    ] == ["release-2"]
    assert not (tmp_path / "metrics" / "counter_1-1.db").exists()


def test_open_requests(server: Server) -> None:
    """What is being answered is visible while it lasts."""

    def open_now() -> float:
        samples = scrape(server)["observatory_open_requests"].samples
        return next(sample.value for sample in samples if sample.labels["type"] == "http")

    wait_until(lambda: open_now() == 1, "only the scrape itself is open")
    with server.http.stream("GET", "/events?limit=3600") as answer:
        events = answer.iter_raw()  # dropping it would end the answer
        next(events)
        assert open_now() == 2
    wait_until(lambda: open_now() == 1, "the closed stream is not counted any more")


def test_clients_cannot_make_series(server: Server) -> None:
    """Paths and methods that the application does not know share one series."""
    server.get("/no/such/path-1")
    server.get("/no/such/path-2")
    server.http.request("PROPFIND", "/version")
    server.get("/notes/123456789")
    families = scrape(server)
    assert requests(families, method="GET", route="unmatched", status="404") == 2
    assert requests(families, method="other", route="/version", status="405") == 1
    assert requests(families, route="/notes/{note_id}", status="404") == 1


def test_a_name_tells_processes_apart() -> None:
    """A pid that was given to another process is not mistaken for the worker that had it."""
    process = subprocess.Popen(["sleep", "60"])
    other_pid = process.pid
    try:
        assert is_running(process_name())
        assert not is_running(f"{other_pid}-1")
    finally:
        process.kill()
    # Not reaped yet, and nobody's worker any more.
    wait_until(
        lambda: Path(f"/proc/{other_pid}/stat").read_text().split()[2] == "Z", "the process is a zombie"
    )
    assert not is_running(f"{other_pid}-None")
    process.wait()
