"""The Observatory does with PostgreSQL what its own tests see it do with SQLite."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from testinfra.host import Host

from tests.harness.outside import Outside

DOMAIN = "observatory-data.lab.test"
JSON = {"Content-Type": "application/json"}


def ask(method: str, path: str, text: str | None = None) -> tuple[int, Any]:
    """Return status and JSON of an answer."""
    body = None if text is None else json.dumps({"text": text}).encode()
    answer = Outside("10.77.77.140").https(DOMAIN, path, method=method, headers=JSON, body=body)
    return answer.status, json.loads(answer.body) if answer.body else None


def query(host: Host, sql: str) -> str:
    """Return what PostgreSQL answers to the app's user."""
    return host.check_output(f'cd /; runuser -u observatory -- psql -Atc "{sql}"')


def test_a_note_lives_and_dies(alone: Host) -> None:
    """In the database of the app, and not in a file."""
    status, made = ask("POST", "/notes", "first")
    assert status == 201
    path = f"/notes/{made['id']}"
    assert ask("GET", path) == (200, made)
    _, replaced = ask("PUT", path, "second")
    assert (replaced["text"], replaced["created"]) == ("second", made["created"])
    assert replaced["updated"] > made["updated"]
    assert query(alone, f"SELECT text FROM notes WHERE id = {made['id']}") == "second"
    assert not alone.file("/var/lib/farrier/observatory/observatory.db").exists
    assert ask("DELETE", path) == (204, None)
    assert [ask("GET", path)[0], ask("PUT", path, "third")[0], ask("DELETE", path)[0]] == [404, 404, 404]
    assert ask("POST", "/notes", "later")[1]["id"] > made["id"]


def test_a_list_has_pages(alone: Host) -> None:
    """From new to old, up to the largest number that an id may have."""
    ids = [ask("POST", "/notes", f"note {number}")[1]["id"] for number in range(3)]
    assert [note["id"] for note in ask("GET", "/notes?limit=2")[1]] == ids[:0:-1]
    assert ask("GET", f"/notes?limit=1&before={ids[1]}")[1][0]["id"] == ids[0]
    assert ask("GET", f"/notes/{2**63 - 1}")[0] == 404


@pytest.mark.parametrize("text", ["", "x" * 10_001, "\0"])
def test_bad_text_is_refused(alone: Host, text: str) -> None:
    """PostgreSQL would refuse a NUL, SQLite would not."""
    assert ask("POST", "/notes", text)[0] == 422


def test_many_write_at_once(alone: Host) -> None:
    """In both workers."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: ask("POST", "/notes", f"many {number}"), range(40)))
    assert [status for status, _ in made] == [201] * 40
    assert query(alone, "SELECT count(*) FROM notes WHERE text LIKE 'many %'") == "40"


def test_migrations_wait_for_each_other(alone: Host) -> None:
    """All three succeed, and the schema is made once."""
    query(alone, "DROP TABLE notes, alembic_version")
    command = "farrier run observatory -- alembic upgrade head"
    alone.check_output(
        f"{command} & first=$!; {command} & second=$!; {command} && wait $first && wait $second"
    )
    assert ask("GET", "/notes") == (200, [])
    assert ask("GET", "/readyz")[0] == 200
