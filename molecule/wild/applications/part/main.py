"""Says what it learns of a request: from whom it comes, and by which URL."""

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


def healthz(request):
    return JSONResponse({"client": request.client.host, "url": str(request.url_for("healthz"))})


app = Starlette(routes=[Route("/healthz", healthz)])
