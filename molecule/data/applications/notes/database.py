"""The database by the URL of the environment: SQLAlchemy with asyncpg, or psycopg."""

import os

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

URL = os.environ.get("DATABASE_URL") or os.environ["NOTES_URL"]


async def query(statement, **values):
    """Run a statement in a connection of its own, and return its rows."""
    if "+asyncpg" in URL:
        engine = create_async_engine(URL)
        async with engine.begin() as connection:
            result = await connection.execute(text(statement), values)
            rows = [list(row) for row in result] if result.returns_rows else []
        await engine.dispose()
        return rows
    for name in values:
        statement = statement.replace(f":{name}", f"%({name})s")
    async with await psycopg.AsyncConnection.connect(URL) as connection:
        cursor = await connection.execute(statement, values)
        return [list(row) for row in await cursor.fetchall()] if cursor.description else []
