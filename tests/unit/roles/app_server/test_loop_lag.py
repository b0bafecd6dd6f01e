"""A blocked event loop is seen from outside, and so is a worker that ends unasked."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from farrier_gunicorn import loop_lag, status
from farrier_gunicorn.loop_lag import LoopLag

from tests.unit.roles.app_server.host import Host, wait_for


async def _tick(lag: LoopLag, count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(loop_lag.TICK_SECONDS)
        lag.tick()


async def _blocked(published: list[float], blocked_seconds: float, *, later: int) -> None:
    lag = LoopLag(published.append)
    await _tick(lag, 1)
    asyncio.get_running_loop().call_later(0.01, time.sleep, blocked_seconds)
    await _tick(lag, 2 + later)


def test_longest_delay_is_published_and_then_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three periods: who looks less often than it is published must not miss it."""
    monkeypatch.setattr(loop_lag, "PUBLISHED_EVERY_SECONDS", 0.25)
    published: list[float] = []
    asyncio.run(_blocked(published, 1.5, later=14))
    assert min(published[:3]) >= 1.3
    assert published[3] < 1


def test_time_without_ticks_between_two_lives_is_no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain has ticks of its own."""
    monkeypatch.setattr(loop_lag, "PUBLISHED_EVERY_SECONDS", 0.0)
    published: list[float] = []
    lag = LoopLag(published.append)
    time.sleep(1.5)
    lag.restart()
    asyncio.run(_tick(lag, 1))
    assert published[0] < 1


def test_worker_tells_its_longest_delay(host: Host) -> None:
    """In its status file, whose other fields stay as they were."""
    host.start()
    before = {worker.pid: worker for worker in host.ready()}
    assert all(worker.loop_lag_seconds is None for worker in before.values())
    host.get("/block?0.7")
    blocked = wait_for(
        lambda: [worker for worker in host.ready() if (worker.loop_lag_seconds or 0) > 0.5],
        "the delay of the event loop is told",
        host,
    )
    assert [blocked[0].since, blocked[0].release] == [before[blocked[0].pid].since, "1"]


def test_master_counts_workers_that_end_unasked(host: Host) -> None:
    """But none that it has told to go."""
    host.start()
    host.deploy("2")
    os.kill(host.ready()[0].pid, signal.SIGKILL)

    def deaths() -> int:
        master = status.read_master(host.run_directory)
        return master.deaths if master else 0

    wait_for(deaths, "the master has counted it", host)
    assert deaths() == 1
