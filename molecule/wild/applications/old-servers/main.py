"""Locked two years ago, its servers too."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def healthz(request):
    return PlainTextResponse("old-servers")


app = Starlette(routes=[Route("/healthz", healthz)])
