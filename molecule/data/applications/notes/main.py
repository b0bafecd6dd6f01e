"""Notes in PostgreSQL, and a counter in Valkey."""

import os

import redis.asyncio
from database import query
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def healthz(request):
    return JSONResponse(await query("SELECT count(*) FROM note"))


async def write(request):
    text = (await request.body()).decode()
    return JSONResponse(await query("INSERT INTO note (text) VALUES (:text) RETURNING id", text=text))


async def read(request):
    return JSONResponse(await query("SELECT text FROM note ORDER BY id"))


async def session(request):
    return JSONResponse(
        await query(
            "SELECT session_user::text, current_database()::text, ssl"
            " FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        )
    )


async def count(request):
    async with redis.asyncio.from_url(os.environ["REDIS_URL"]) as cache:
        return JSONResponse(await cache.incr("count"))


app = Starlette(
    routes=[
        Route("/healthz", healthz),
        Route("/notes", write, methods=["PUT"]),
        Route("/notes", read),
        Route("/session", session),
        Route("/count", count),
    ]
)
