"""The schema: made by Alembic, checked by /readyz."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from servers import APP_DIRECTORY, migrate

from observatory import database


def test_the_migrations_make_the_tables_of_the_code(tmp_path: Path) -> None:
    """A column that only one of the two knows is found here."""
    done = migrate(tmp_path)
    assert done.returncode == 0, done.stderr
    engine = sa.create_engine(f"sqlite:///{tmp_path}/observatory.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), database.metadata) == []
    engine.dispose()


def test_the_required_revision_is_the_newest() -> None:
    """The code says which schema it needs; forgetting that would make /readyz lie."""
    scripts = ScriptDirectory(str(APP_DIRECTORY / "src/observatory/migrations"))
    assert scripts.get_heads() == [database.REQUIRED_REVISION]
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions == sorted(revisions, reverse=True)


def test_up_and_down_and_up(tmp_path: Path) -> None:
    """What a migration makes, it can undo."""
    for arguments in (("upgrade", "head"), ("downgrade", "base"), ("upgrade", "head"), ("upgrade", "head")):
        done = migrate(tmp_path, *arguments)
        assert done.returncode == 0, done.stderr


def test_two_at_once(tmp_path: Path) -> None:
    """The second run waits for the first, and finds nothing left to do."""
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda _: migrate(tmp_path), range(3)))
    assert [run.returncode for run in runs] == [0, 0, 0], [run.stderr for run in runs]


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """All or nothing: the former release goes on with the schema that it knows."""
    with sqlite3.connect(tmp_path / "observatory.db") as connection:
        connection.execute("CREATE TABLE notes (foreign_table TEXT)")
    assert migrate(tmp_path).returncode != 0
    with sqlite3.connect(tmp_path / "observatory.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("notes",)]


def test_database_url_is_used(tmp_path: Path) -> None:
    """A database somewhere else instead of the one in the state directory."""
    done = migrate(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/elsewhere.db")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "observatory.db").exists()


@pytest.mark.parametrize(
    ("revision", "ready"), [("0000", False), (database.REQUIRED_REVISION, True), ("9999", True)]
)
def test_ready_with_this_schema_or_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: str, ready: bool
) -> None:
    """During a deploy the old code runs on the new schema; the new code never on the old one."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/observatory.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num TEXT)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (revision,))
    monkeypatch.setattr(database, "engine", lambda: engine)
    assert (database.schema_problem() is None) == ready
    engine.dispose()
