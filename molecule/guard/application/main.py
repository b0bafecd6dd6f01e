"""Asks its database who it is."""

import os

import psycopg
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def healthz(request):
    async with await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"]) as connection:
        cursor = await connection.execute("SELECT current_user")
        return PlainTextResponse((await cursor.fetchone())[0])


app = Starlette(routes=[Route("/healthz", healthz)])
