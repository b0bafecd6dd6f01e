"""Innocent clients beside offenders: what the ones do must not happen to the others."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .load import Load, Report
from .offenders import Offenders
from .target import make_target

CONNECTIONS = 24
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Site:
    """What is asked: the name, the addresses of its edges, the certificate of the only authority to trust."""

    domain: str
    addresses: Sequence[str]
    ca: Path


def beside_offenders(
    site: Site, ways: tuple[str, ...], *, per_second: float, seconds: float
) -> tuple[Report, Counter[str]]:
    """Let both ask at once; return what the innocents saw, and how often the offenders got which outcome.

    Args:
        site: of a `Misbehaving` app.
        ways: what the offenders ask for.
        per_second: how often they do.
        seconds: how long; on a busy machine longer, until the offenders have got half of their answers.
    """
    url, resolve = f"https://{site.domain}", {site.domain: site.addresses}
    target = make_target(url, ca=str(site.ca), resolve=resolve)
    with Load(
        url,
        ca=site.ca,
        resolve=resolve,
        name="innocents",
        connections=CONNECTIONS,
        websockets=0,
        events=0,
        downloads=0,
        no_notes=True,
    ) as load:
        load.wait_for_requests(CONNECTIONS)
        with Offenders(target, ways, per_second=per_second) as offenders:
            time.sleep(seconds)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while offenders.outcomes.total() <= seconds * per_second / 2 and time.monotonic() < deadline:
                time.sleep(0.1)
        return load.stop(), offenders.outcomes
