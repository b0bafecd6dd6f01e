"""The app that the tests deploy: plain ASGI, so that a worker starts quickly. Copied into each release."""

import asyncio
import hashlib
import json
import os
import sys
import time
import traceback
from pathlib import Path

import dependency  # of the release's virtual environment

RELEASE_OF_THE_CODE = "@RELEASE@"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await live(receive, send)
    elif scope["type"] == "websocket":
        await websocket(receive, send)
    else:
        await ROUTES[scope["path"]](scope, receive, send)


async def live(receive, send):
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await startup()
            except Exception:  # as Starlette does
                await send({"type": "lifespan.startup.failed", "message": traceback.format_exc()})
                raise
            await send({"type": "lifespan.startup.complete"})
        else:
            await shutdown()
            await send({"type": "lifespan.shutdown.complete"})
            return


async def startup():
    pass


async def shutdown():
    pass


async def answer(send, value, status=200):
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def import_late(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    import imported_late

    modules = {"imported_late": imported_late.RELEASE, "dependency": dependency.RELEASE}
    await answer(send, {"code": RELEASE_OF_THE_CODE, **modules})


async def whoami(scope, receive, send):
    await answer(
        send,
        {
            "pid": os.getpid(),
            "release": os.environ["RELEASE_ID"],
            "code": RELEASE_OF_THE_CODE,
            "cwd": str(Path.cwd()),
            "prefix": sys.prefix,
            "path": sys.path,
            "environ": dict(os.environ),
            "handover_imported": "farrier_gunicorn.arbiter" in sys.modules,
        },
    )


async def echo(scope, receive, send):
    digest = hashlib.sha256()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        digest.update(message["body"])
        more = message.get("more_body", False)
    await answer(send, {"sha256": digest.hexdigest()})


async def slow(scope, receive, send):
    await asyncio.sleep(float(scope["query_string"]))
    await answer(send, {"release": RELEASE_OF_THE_CODE})


async def events(scope, receive, send):
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for number in range(int(scope["query_string"])):
        event = f"data: {number} {RELEASE_OF_THE_CODE}\n\n".encode()
        await send({"type": "http.response.body", "body": event, "more_body": True})
        await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": b""})


async def block(scope, receive, send):
    time.sleep(float(scope["query_string"] or 3600))
    await answer(send, {"release": RELEASE_OF_THE_CODE})


async def end(scope, receive, send):
    os._exit(int(scope["query_string"]))


HELD = []


async def hold(scope, receive, send):
    HELD.append(b"x" * (int(scope["query_string"]) * 2**20))
    await answer(send, {"pid": os.getpid()})


async def kill(scope, receive, send):
    os.kill(os.getpid(), int(scope["query_string"]))
    await asyncio.sleep(3600)


async def interrupt(scope, receive, send):
    async def fail():
        raise KeyboardInterrupt

    scope["state"]["task"] = asyncio.create_task(fail())
    await asyncio.sleep(3600)


async def websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": f"{RELEASE_OF_THE_CODE} {message['text']}"})


ROUTES = {
    "/": whoami,
    "/block": block,
    "/echo": echo,
    "/slow": slow,
    "/events": events,
    "/end": end,
    "/hold": hold,
    "/kill": kill,
    "/interrupt": interrupt,
    "/import-late": import_late,
}
