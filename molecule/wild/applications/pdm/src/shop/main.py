"""In src/, which nothing builds."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def healthz(request):
    return PlainTextResponse("pdm")


app = Starlette(routes=[Route("/healthz", healthz)])
