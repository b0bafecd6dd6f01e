"""A client that keeps one connection alive, asks every request exactly once and records what came of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from .connection import Answer, Connection, has_gone_away, request_head
from .failures import ClosedWhileIdle, Failure, Kind
from .pace import Pace
from .recorder import BETWEEN_REQUESTS, Recorder, Route
from .target import Target

PAUSE_AFTER_FAILURE_SECONDS = 0.05
"""So that a target that is down is asked 20 times a second by each connection, not as fast as it refuses."""

LOST_WITH_CONNECTION = (Kind.UNANSWERED, Kind.TRUNCATED)


class Session:
    """One keep-alive connection to the target, made anew whenever it has ended.

    Args:
        target: where to.
        recorder: takes down what comes of it.
        pace: hands out the turns.
        timeout_seconds: the longest wait for a connection, or for the next byte of an answer.
        retry_safe: whether a GET that was lost with its edge is repeated, once, at another address, and a
            stream that was cut is merely counted.
    """

    def __init__(
        self,
        target: Target,
        recorder: Recorder,
        pace: Pace,
        *,
        timeout_seconds: float,
        retry_safe: bool = False,
    ) -> None:
        self.target = target
        self.recorder = recorder
        self._pace = pace
        self._timeout_seconds = timeout_seconds
        self._retry_safe = retry_safe
        self._connection: Connection | None = None
        self._given_up = False

    async def ask(
        self,
        route: Route,
        *,
        path: str = "",
        body: bytes | None = None,
        media_type: str = "application/json",
        status: int = 200,
        check: Callable[[Answer], None] | None = None,
        on_body: Callable[[bytes], None] | None = None,
    ) -> Answer | None:
        """Send one request and record it.

        Args:
            route: what it is counted as; its path is asked for unless `path` is given.
            path: the path itself, where the route's has placeholders.
            body: the request's body.
            media_type: Content-Type of `body`.
            status: the only right status.
            check: raises Failure when the answer's content is wrong.
            on_body: takes the answer's body piece by piece, and may raise Failure.

        Returns:
            The answer; None when it failed, which is recorded already, or was given up before it began, or
            is a stream that was cut and may be.
        """
        await self._pace.turn()
        at_seconds = self.recorder.now_seconds()
        head = request_head(route.method, path or route.path, self.target.authority, body, media_type)
        try:
            try:
                answer = await self._exchange(head, body or b"", on_body)
            except Failure as failure:
                if not self._retry_safe or failure.kind not in LOST_WITH_CONNECTION:
                    raise
                if route.long:
                    self.recorder.streams_lost += 1
                    self.close()
                    await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
                    return None
                elsewhere = await self._elsewhere() if route.method == "GET" else []
                if not elsewhere:
                    raise
                self.recorder.repeated += 1
                answer = await self._exchange(head, b"", None, elsewhere)
            if self._given_up and answer.status == 0:
                return None
            if answer.status != status:
                text = bytes(answer.body[:300]).decode("utf-8", "replace")
                raise Failure(
                    Kind.STATUS,
                    f"status {answer.status} instead of {status}: {text}",
                    answer.status,
                    answer.release,
                )
            if check is not None:
                try:
                    check(answer)
                except Failure as failure:
                    raise Failure(failure.kind, failure.detail, answer.status, answer.release) from None
            host = host_of(answer)
        except Failure as failure:
            self.recorder.fail(route, at_seconds, failure, path=path)
            self.close()
            await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)
            return None
        self.recorder.add(route, at_seconds, status=answer.status, release=release_of(answer), host=host)
        return answer

    def give_up(self) -> None:
        """Close for good: a request under way ends with what has come of its answer, and no other is sent."""
        self._given_up = True
        self.close()

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.idle_failure is not None:
            self.recorder.fail(BETWEEN_REQUESTS, self.recorder.now_seconds(), connection.idle_failure)
        connection.close()

    async def _exchange(
        self,
        head: bytes,
        body: bytes,
        on_body: Callable[[bytes], None] | None,
        addresses: Sequence[str] | None = None,
    ) -> Answer:
        """Send the request, once, over the connection that there is or a new one."""
        while True:
            if self._connection is None:
                addresses = addresses or self.target.in_turn()
                self._connection = await Connection.open(
                    self.target, addresses, timeout_seconds=self._timeout_seconds
                )
                self.recorder.counters["connections_opened"] += 1
                if len(self.target.addresses) > 1:
                    self.recorder.counters[f"connections_to_{self._connection.address}"] += 1
            connection = self._connection
            if self._given_up:
                self.close()
                return Answer()
            try:
                answer = await connection.request(
                    head, body, timeout_seconds=self._timeout_seconds, on_body=on_body
                )
            except (ClosedWhileIdle, Failure) as ended:
                # Nothing was written, so nothing is repeated when the request goes to a new connection.
                others = [address for address in addresses or () if address != connection.address]
                if connection.lost_before_use and others:
                    addresses = others
                    connection.idle_failure = None
                    self.recorder.counters["connections_lost_before_use"] += 1
                elif isinstance(ended, ClosedWhileIdle):
                    self.recorder.counters["connections_closed_while_idle"] += 1
                else:
                    raise
                self.close()
                continue
            if connection.closing_announced and not self._given_up:
                self.recorder.counters["connections_closed_as_announced"] += 1
                self.close()
            return answer

    async def _elsewhere(self) -> list[str]:
        """Where to repeat what was lost: nowhere, as long as the edge that has lost it still serves."""
        assert self._connection is not None
        lost_at = self._connection.address
        self.close()
        others = [address for address in self.target.in_turn() if address != lost_at]
        return others if others and await has_gone_away(self.target, lost_at) else []


def json_of(answer: Answer) -> dict[str, Any]:
    """Return the answer's JSON object.

    Raises:
        Failure: when it is none, or its "release" is not the one that the X-Release header names.
    """
    try:
        value = json.loads(answer.body)
    except ValueError as error:
        raise Failure(Kind.WRONG, f"no JSON: {error}: {bytes(answer.body[:200])!r}") from None
    if not isinstance(value, dict):
        raise Failure(Kind.WRONG, f"no JSON object: {bytes(answer.body[:200])!r}")
    named = value.get("release", "")
    if named and answer.release and named != answer.release:
        raise Failure(Kind.WRONG, f"release {named} in the body, {answer.release} in X-Release")
    return value


def release_of(answer: Answer) -> str:
    """Return the release that answered, by the X-Release header or the JSON body, or an empty string."""
    if answer.release or not answer.headers.get("content-type", "").startswith("application/json"):
        return answer.release
    value = json.loads(answer.body or b"null")
    return str(value.get("release", "")) if isinstance(value, dict) else ""


def host_of(answer: Answer) -> str:
    """Return the app's host, where the JSON body names it, or an empty string.

    Raises:
        Failure: when the body is no JSON object.
    """
    return str(json_of(answer).get("host", "")) if b'"host"' in answer.body else ""
