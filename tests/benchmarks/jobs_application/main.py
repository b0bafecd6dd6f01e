"""A web process that queues jobs for arq."""

import os

from arq import create_pool
from arq.connections import RedisSettings
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def healthz(request):
    return PlainTextResponse("arq")


async def queue(request):
    pool = await create_pool(RedisSettings.from_dsn(os.environ["REDIS_URL"]))
    await pool.enqueue_job("work", request.path_params["number"])
    await pool.aclose()
    return PlainTextResponse("queued")


app = Starlette(routes=[Route("/healthz", healthz), Route("/queue/{number:int}", queue)])
