"""Nothing but a module beside its requirements."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def healthz(request):
    return PlainTextResponse("plain")


app = Starlette(routes=[Route("/healthz", healthz)])
