"""The page that shows a deploy as it happens."""

from html import escape
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from observatory.identity import RELEASE

STATIC_DIRECTORY = Path(__file__).parent / "static"

# The release in the addresses of script and style keeps a browser from using those of another release.
_PAGE = (STATIC_DIRECTORY / "index.html").read_text("utf-8").replace("{release}", escape(RELEASE))
_HEADERS = {"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'self'"}

router = APIRouter()


@router.get("/", include_in_schema=False)
async def show_page() -> HTMLResponse:
    """Answer the page."""
    return HTMLResponse(_PAGE, headers=_HEADERS)
