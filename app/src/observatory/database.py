"""The database: its address, its tables, and the state of its schema."""

import os
import sqlite3
from functools import cache
from typing import Any

import sqlalchemy as sa

from observatory.directories import state_directory

REQUIRED_REVISION = "0001"
"""The oldest schema that this release works with. Revisions are numbers of four digits, in order."""

BUSY_TIMEOUT_SECONDS = 5

metadata = sa.MetaData()
notes = sa.Table(
    "notes",
    metadata,
    # SQLite numbers rows by themselves in an INTEGER alone, which has 64 bits there.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("created", sa.DateTime, nullable=False),
    sa.Column("updated", sa.DateTime, nullable=False),
)


def database_url() -> sa.URL:
    """Address of the database: DATABASE_URL, else a SQLite file in the state directory."""
    if given := os.environ.get("DATABASE_URL"):
        return sa.make_url(given)
    return sa.URL.create("sqlite", database=str(state_directory() / "observatory.db"))


@cache
def engine() -> sa.Engine:
    """The engine of this process; it connects at first use."""
    url = database_url()
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True)
    if "DATABASE_URL" not in os.environ:
        state_directory().mkdir(parents=True, exist_ok=True)
    created = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    sa.event.listen(created, "connect", _prepare_sqlite)
    return created


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # WAL: readers and the writer of other workers do not block each other.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def schema_problem() -> str | None:
    """Say what is wrong with the database, or None if this release can work with it.

    A schema newer than this release is fine: old and new code run side by side during a deploy.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database cannot be reached or read.
    """
    with engine().connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return "the database has no schema yet: run `alembic upgrade head`"
        revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    if revision is None or revision < REQUIRED_REVISION:
        return (
            f"the database is at revision {revision}, this release needs {REQUIRED_REVISION}: "
            "run `alembic upgrade head`"
        )
    return None
