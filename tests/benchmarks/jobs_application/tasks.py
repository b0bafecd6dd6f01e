"""Jobs of an arq worker: each says in the state directory that it was done, and in which release."""

import asyncio
import os
from pathlib import Path

from arq.connections import RedisSettings


async def work(_context, number):
    await asyncio.sleep(0.5)
    with (Path(os.environ["STATE_DIRECTORY"]) / "done").open("a") as file:
        file.write(f"{number} {os.environ['RELEASE_ID']}\n")


class Settings:
    functions = (work,)
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])
    # Without it, arq cancels its jobs when it is told to stop.
    job_completion_wait = 30
