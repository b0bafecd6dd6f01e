"""The application that is developed, and how long the machine may take."""

from __future__ import annotations

OWNER = 1234
START_SECONDS = 600
STOP_SECONDS = 120
DOMAIN = "tiny.develop.test"
REQUIREMENTS = "fastapi==0.163.2\nuvicorn==0.54.0\n"
PAGE = """
from pathlib import Path
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
app = FastAPI()
@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    return "<h1>save 0</h1>"
@app.get("/client")
async def client(request: Request) -> dict[str, str]:
    Path("written-by-the-app").write_text("x")
    return {"client": request.client.host, "url": str(request.url), **request.headers}
"""
