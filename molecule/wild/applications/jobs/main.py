"""A web process beside a worker and a timer."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def healthz(request):
    return PlainTextResponse("jobs")


app = Starlette(routes=[Route("/healthz", healthz)])
