"""The schema, with a type of an extension; each version that comes adds its name."""

import asyncio
from pathlib import Path

from database import query


async def main():
    await query("CREATE TABLE IF NOT EXISTS note (id serial PRIMARY KEY, text citext NOT NULL)")
    if Path("NEWS").exists():
        await query("ALTER TABLE note ADD COLUMN IF NOT EXISTS second boolean NOT NULL DEFAULT false")


asyncio.run(main())
