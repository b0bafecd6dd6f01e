"""Endpoints whose request or answer takes a while: what a deploy must not cut."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from observatory.identity import RELEASE

CHUNK_BYTES = 4096
CHUNKS_PER_SECOND = 10
UNBUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

router = APIRouter()


@router.post("/echo")
async def echo(request: Request) -> JSONResponse:
    """Answer the length and the SHA-256 of the body, which is never held in memory as a whole."""
    digest = hashlib.sha256()
    length_bytes = 0
    try:
        async for part in request.stream():
            digest.update(part)
            length_bytes += len(part)
    except ClientDisconnect:
        return JSONResponse({"detail": "the client went away before the end of the body"}, status_code=400)
    return JSONResponse(
        {"length": length_bytes, "sha256": digest.hexdigest(), "release": RELEASE, "pid": os.getpid()}
    )


@router.get("/events")
async def events(limit: Annotated[int, Query(ge=1, le=3600)] = 3600) -> StreamingResponse:
    """Send an event each second, `limit` in all."""
    return StreamingResponse(_ticks(limit), media_type="text/event-stream", headers=UNBUFFERED)


async def _ticks(limit: int) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    for number in range(1, limit + 1):
        data = json.dumps({"tick": number, "release": RELEASE, "pid": os.getpid()})
        yield f"event: tick\nid: {number}\ndata: {data}\n\n"
        if number < limit:
            await asyncio.sleep(1)


@router.get("/stream")
async def stream(seconds: Annotated[int, Query(ge=0, le=600)] = 10) -> StreamingResponse:
    """Send a long answer in chunks, for `seconds`.

    Ten lines a second of 4096 bytes each, then one line `complete bytes=… sha256=… release=… pid=…` about
    all the bytes before it. A client that has not seen that line has not got everything.
    """
    announced = {"X-Stream-Bytes": str(seconds * CHUNKS_PER_SECOND * CHUNK_BYTES)}
    return StreamingResponse(_lines(seconds), media_type="text/plain", headers=UNBUFFERED | announced)


async def _lines(seconds: int) -> AsyncIterator[bytes]:
    digest = hashlib.sha256()
    count = seconds * CHUNKS_PER_SECOND
    for number in range(count):
        line = f"{number:08d} {RELEASE} ".encode().ljust(CHUNK_BYTES - 1, b".") + b"\n"
        digest.update(line)
        yield line
        await asyncio.sleep(1 / CHUNKS_PER_SECOND)
    summary = f"bytes={count * CHUNK_BYTES} sha256={digest.hexdigest()} release={RELEASE} pid={os.getpid()}"
    yield f"complete {summary}\n".encode()


@router.websocket("/ws")
async def websocket_echo(websocket: WebSocket) -> None:
    """Answer each text message with itself, the release and the pid, as JSON."""
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is None:
                await websocket.close(code=1003, reason="text messages only")
                return
            await websocket.send_json({"release": RELEASE, "pid": os.getpid(), "echo": message["text"]})
    except WebSocketDisconnect:
        return
