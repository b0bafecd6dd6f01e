"""uvicorn's own workers: of uvicorn-worker, or of a uvicorn before 0.36, which that does not know."""

from __future__ import annotations

try:
    from uvicorn_worker import UvicornH11Worker, UvicornWorker
except ImportError:
    from uvicorn.workers import UvicornH11Worker, UvicornWorker

__all__ = ["UvicornH11Worker", "UvicornWorker"]
