"""Locked by Pipenv."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def healthz(request):
    return PlainTextResponse("pipenv")


app = Starlette(routes=[Route("/healthz", healthz)])
