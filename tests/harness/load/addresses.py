"""Several addresses behind one name: the first that answers is taken, as a browser does (RFC 8305)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from .failures import Failure, Kind

ATTEMPT_DELAY_SECONDS = 0.25
"""How long an address may be silent before the next one is tried beside it."""


class Closable(Protocol):
    """What an attempt leads to."""

    def close(self) -> object:
        """Give it up."""


Connected = TypeVar("Connected", bound=Closable)


async def first_to_connect(
    addresses: Sequence[str],
    connect: Callable[[str], Coroutine[Any, Any, Connected]],
    *,
    timeout_seconds: float,
) -> Connected:
    """Connect to the first of the addresses at which that succeeds.

    Each is tried when the one before it has failed, or has not answered for a moment; then both may win.

    Raises:
        Failure: kind REFUSED, when none has succeeded within `timeout_seconds`; it tells what each one did.
    """
    waiting = list(addresses)
    attempts: dict[asyncio.Task[Connected], str] = {}
    refusals: list[str] = []
    try:
        async with asyncio.timeout(timeout_seconds):
            while waiting or attempts:
                if waiting:
                    address = waiting.pop(0)
                    attempts[asyncio.create_task(connect(address))] = address
                done, _ = await asyncio.wait(
                    attempts,
                    timeout=ATTEMPT_DELAY_SECONDS if waiting else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for attempt in done:
                    address = attempts.pop(attempt)
                    error = attempt.exception()
                    if error is None:
                        return attempt.result()
                    if not isinstance(error, OSError):
                        raise error
                    at = f"{address}: " if len(addresses) > 1 else ""
                    refusals.append(f"{at}{type(error).__name__}: {error}")
    except TimeoutError:
        refusals.append(f"no connection within {timeout_seconds:g} s")
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_give_up)
            attempt.cancel()
    raise Failure(Kind.REFUSED, "; ".join(refusals))


def _give_up(attempt: asyncio.Task[Connected]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
