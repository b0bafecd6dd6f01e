"""Its requirements.txt names only what it imports itself."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def healthz(request):
    return PlainTextResponse("half-pinned")


app = Starlette(routes=[Route("/healthz", healthz)])
