"""Clients that ask a `Misbehaving` app for everything that an app must not do."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter
from types import TracebackType
from typing import Self

import aiohttp

from .misbehaving import PREFIX, WAYS, WEBSOCKET_WAYS
from .target import Target

RAISE_AFTER = ("raise_after",)
"""What every framework does with an exception that nobody handles."""
STREAMS = ("raise_within",)
EVERY_WAY = (*WAYS, *(f"HEAD {way}" for way in WAYS), *WEBSOCKET_WAYS)
SHUTDOWN_SECONDS = 0.25
PATIENCE_SECONDS = 1.0
"""After which a client gives up: so it goes away from an answer that does not end."""


class Offenders:
    """They ask for the time of a `with` block; afterwards `outcomes` says what they got.

    Args:
        target: the site, of which each address is asked in turn.
        ways: what to ask for, in turn.
        per_second: how often, all together.
    """

    def __init__(self, target: Target, ways: tuple[str, ...], *, per_second: float) -> None:
        self.outcomes: Counter[str] = Counter()
        self._target = target
        self._ways = itertools.cycle(ways)
        self._interval_seconds = 1 / per_second
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        timeout = aiohttp.ClientTimeout(PATIENCE_SECONDS)
        # Who gives up goes at once: an edge does not see the end of TLS, only that of the connection.
        connector = aiohttp.TCPConnector(limit=0, ssl_shutdown_timeout=SHUTDOWN_SECONDS)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as group,
        ):
            began = loop.time()
            for number in itertools.count():
                if self._over.is_set():
                    break
                address = self._target.addresses[number % len(self._target.addresses)]
                group.create_task(self._ask_for(session, next(self._ways), address))
                await asyncio.sleep(began + (number + 1) * self._interval_seconds - loop.time())
        await asyncio.sleep(2 * SHUTDOWN_SECONDS)

    async def _ask_for(self, session: aiohttp.ClientSession, way: str, address: str) -> None:
        method, _, name = way.rpartition(" ")
        url = f"https://{address}:{self._target.port}{PREFIX}{name}"
        assert self._target.tls is not None
        try:
            if name in WEBSOCKET_WAYS:
                headers = {"Host": self._target.authority}
                async with session.ws_connect(
                    url, ssl=self._target.tls, server_hostname=self._target.host, headers=headers
                ):
                    outcome = "accepted"
            else:
                async with session.request(
                    method or "GET",
                    url,
                    ssl=self._target.tls,
                    server_hostname=self._target.host,
                    headers={"Host": self._target.authority},
                ) as response:
                    outcome = str(response.status)
                    await response.read()
        except aiohttp.WSServerHandshakeError as error:
            outcome = str(error.status)
        except TimeoutError:
            outcome = "given up"
        except aiohttp.ClientError:
            outcome = "cut"
        self.outcomes[outcome] += 1
