"""Endpoints that say how the application is and who answered."""

import os
from datetime import UTC, datetime

import pytest
from in_process import Client
from sqlalchemy.exc import OperationalError

from observatory import probes


def test_health_names_the_release(client: Client) -> None:
    """A deploy is verified by this answer."""
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "release": "test-1"})


def test_version_describes_the_worker(client: Client) -> None:
    """The page, the harness and the verification tell workers apart by it."""
    identity = client.get("/version").json()
    assert (identity["release"], identity["pid"]) == ("test-1", os.getpid())
    assert datetime.fromisoformat(identity["started"]) < datetime.now(UTC)
    assert {"host", "python"} < set(identity)


def test_ready_with_the_schema(client: Client) -> None:
    """A host that is ready says so."""
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


def test_not_ready_when_the_database_fails(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that cannot be reached is an answer with the reason, not an error page."""

    def fail() -> None:
        raise OperationalError("SELECT 1", {}, Exception("disk I/O error"))

    monkeypatch.setattr(probes, "schema_problem", fail)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "the database cannot be used: disk I/O error"
    assert client.get("/healthz").status_code == 200


def test_client_shows_what_was_told(client: Client) -> None:
    """Tests through a proxy read here whether a forged header got through."""
    told = {"X-Forwarded-For": "203.0.113.9", "X-Request-ID": "r-1", "Authorization": "secret"}
    seen = client.get("/client", headers=told).json()
    assert (seen["scheme"], seen["client"]) == ("http", "127.0.0.1")
    assert seen["headers"] == {"host": "testserver", "x-forwarded-for": "203.0.113.9", "x-request-id": "r-1"}


def test_nothing_is_loaded_from_elsewhere(client: Client) -> None:
    """The interactive documentation of FastAPI would load scripts from a CDN."""
    assert [client.get(path).status_code for path in ("/docs", "/redoc")] == [404, 404]
