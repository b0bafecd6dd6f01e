"""Steering a run from another process: a UNIX socket, a command a line, an answer a line of JSON.

Commands: `mark LABEL`, `rate REQUESTS_PER_SECOND`, `status`, `stop`.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

Handler = Callable[[str, str], dict[str, Any]]

ANSWER_SECONDS = 30.0


class ControlError(Exception):
    """The run cannot be reached, or refused the command."""


async def serve(path: Path, handle: Handler) -> asyncio.Server:
    """Listen on `path`; `handle(command, argument)` gives the answer or raises ValueError."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                command, _, argument = line.decode("utf-8", "replace").strip().partition(" ")
                try:
                    answer = handle(command, argument)
                except ValueError as error:
                    answer = {"error": str(error)}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # Whoever asked has gone, or sent a line without end: the run goes on.
        finally:
            writer.close()

    return await asyncio.start_unix_server(converse, path)


def ask(path: Path, command: str) -> dict[str, Any]:
    """Send one command to the run that listens on `path` and return its answer.

    Raises:
        ControlError: when no run answers there, or it refuses the command.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(str(path))
            connection.sendall(command.replace("\n", " ").encode() + b"\n")
            with connection.makefile("rb") as stream:
                answer: dict[str, Any] = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise ControlError(f"no load run answers at {path}: {error}") from error
    if "error" in answer:
        raise ControlError(answer["error"])
    return answer
