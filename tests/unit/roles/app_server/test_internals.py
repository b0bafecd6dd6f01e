"""The guard: it fails when something changes inside gunicorn or uvicorn that is relied on.

When it does: read the change, adapt what relies on it, run the tests of this directory, record the new state
with `PYTHONPATH=roles/app_server/files python -m tests.unit.roles.app_server.test_internals`.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from pathlib import Path

import pytest
from farrier_gunicorn import internals
from farrier_gunicorn.servers import SERVERS

RECORD = Path(__file__).with_name("internals.json")
EVERYTHING = {
    **internals.RELIED_ON,
    **internals.RELIED_ON_BY_MASTER_FOR["uvicorn"],
    **internals.RELIED_ON_BY_MASTER_FOR["gthread"],
    **internals.RELIED_ON_IN_WORKERS,
}


def fingerprint(reference: str) -> str:
    """Of the source text."""
    return hashlib.sha256(inspect.getsource(internals.find(reference)).encode()).hexdigest()[:16]


@pytest.mark.parametrize("reference", EVERYTHING)
def test_unchanged_since_it_was_relied_on(reference: str) -> None:
    """An upgrade may keep a name and change what it does."""
    recorded = json.loads(RECORD.read_text())
    assert recorded.get(reference) == fingerprint(reference), (
        f"{reference} has changed; the hand-over relies on that it {EVERYTHING[reference]}"
    )


def test_nothing_is_recorded_that_nobody_relies_on() -> None:
    """The record is a list of what to read at an upgrade."""
    assert set(json.loads(RECORD.read_text())) == set(EVERYTHING)


def test_missing_internal_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same guard on a host, where nobody runs tests."""
    monkeypatch.setitem(
        internals.RELIED_ON_BY_MASTER_FOR["uvicorn"],
        "uvicorn.server:Server.on_tock",
        "is called at every tock",
    )
    with pytest.raises(
        internals.UnsupportedServerError, match=r"Server\.on_tock, which is gone .* it is called at every"
    ):
        internals.check("uvicorn")


@pytest.mark.parametrize("version", ["0.28.1", "0.55.0", "1.0"])
def test_version_outside_of_the_range_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """What was never tested is not run."""
    found = {"gunicorn": "27.0.1", "uvicorn": version, "uvicorn-worker": "0.4.0"}
    monkeypatch.setattr(internals.distributions, "installed", lambda _: found)
    with pytest.raises(
        internals.UnsupportedServerError, match=rf"tested with uvicorn .*, not with {version}"
    ):
        internals.check("uvicorn")


def test_installed_versions_are_supported() -> None:
    """The project's own environment is the one that is tested."""
    for server in SERVERS:
        internals.check(server)


def test_wsgi_needs_gunicorn_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The virtual environment of a Flask app has no uvicorn."""
    monkeypatch.setattr(internals.distributions, "installed", lambda _: {"gunicorn": "27.0.1"})
    internals.check("gthread")
    with pytest.raises(internals.UnsupportedServerError, match="uvicorn is not installed"):
        internals.check("uvicorn")


if __name__ == "__main__":
    RECORD.write_text(json.dumps({name: fingerprint(name) for name in EVERYTHING}, indent=2) + "\n")
