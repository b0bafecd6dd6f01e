"""Notes: kept, listed, replaced, deleted; and what happens when the database does not work."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from in_process import Client
from servers import Server, listen
from sqlalchemy.exc import OperationalError

from observatory import notes


def test_a_note_lives_and_dies(client: Client) -> None:
    """Create, read, replace and delete agree with each other."""
    made = client.post("/notes", json={"text": "first"})
    assert made.status_code == 201
    path = made.headers["Location"]
    assert client.get(path).json() == made.json()

    replaced = client.put(path, json={"text": "second"})
    assert replaced.json()["text"] == "second"
    assert replaced.json()["created"] == made.json()["created"]
    assert replaced.json()["updated"] > made.json()["updated"]
    assert client.get(path).json() == replaced.json()

    assert client.delete(path).status_code == 204
    gone = [client.get(path), client.put(path, json={"text": "third"}), client.delete(path)]
    assert [answer.status_code for answer in gone] == [404, 404, 404]


def test_the_id_of_a_deleted_note_is_not_used_again(client: Client) -> None:
    """A late PUT must never hit the note of someone else."""
    first = client.post("/notes", json={"text": "first"}).json()["id"]
    client.delete(f"/notes/{first}")
    assert client.post("/notes", json={"text": "second"}).json()["id"] > first


def test_list_goes_from_new_to_old_in_pages(client: Client) -> None:
    """A list is bounded, and a reader gets all of it in pages."""
    ids = [client.post("/notes", json={"text": f"note {n}"}).json()["id"] for n in range(3)]
    assert [note["id"] for note in client.get("/notes?limit=2").json()] == [ids[2], ids[1]]
    assert client.get(f"/notes?limit=1&before={ids[1]}").json()[0]["id"] == ids[0]


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "x" * 10_001}, {"text": 1}, {"text": "\0"}])
def test_bad_text_is_refused(client: Client, body: dict) -> None:
    """What is no note never reaches the database."""
    assert client.post("/notes", json=body).status_code == 422


@pytest.mark.parametrize(
    "path", ["/notes/0", "/notes/x", f"/notes/{2**63}", "/notes?limit=0", "/notes?limit=1001"]
)
def test_bad_numbers_are_refused(client: Client, path: str) -> None:
    """Numbers out of range are the client's mistake, not an error of the database."""
    assert client.get(path).status_code == 422


def test_a_failing_database_is_unavailable_not_an_error(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client is told to come again."""

    def fail() -> None:
        raise OperationalError("SELECT 1", {}, Exception("database is locked"))

    monkeypatch.setattr(notes, "engine", fail)
    assert client.get("/notes").status_code == 503


def test_without_migration(tmp_path: Path) -> None:
    """A fresh host is healthy before its database has a schema, and says what is missing."""
    with listen() as listener, Server(listener, tmp_path, "fresh") as fresh:
        assert fresh.get("/healthz").status_code == 200
        ready = fresh.get("/readyz")
        assert ready.status_code == 503
        assert "run `alembic upgrade head`" in ready.json()["reason"]
        assert fresh.get("/notes").status_code == 503


def test_workers_write_at_once(server: Server) -> None:
    """Writers in several processes wait for each other instead of failing."""

    def write(number: int) -> tuple[int, str]:
        made = server.http.post("/notes", json={"text": f"note {number}"})
        changed = server.http.put(made.headers["Location"], json={"text": f"changed {number}"})
        return changed.status_code, changed.json()["text"]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(write, range(200))) == [(200, f"changed {n}") for n in range(200)]


def test_times_are_utc(client: Client) -> None:
    """The database keeps no zone; the answer must."""
    made = client.post("/notes", json={"text": "now"}).json()
    assert made["created"].endswith("Z")
    assert made["created"][:13] in {
        time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() - s)) for s in (0, 5)
    }
