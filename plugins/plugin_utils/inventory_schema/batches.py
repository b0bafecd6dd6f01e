"""How many hosts of a fleet are worked on at a time."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from .mistakes import MistakeError

Share = int | str

PERCENT = re.compile(r"(\d{1,3})%")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def batch(value: object) -> Share:
    """Return a number from 1 or a percentage from 1%; raise :class:`MistakeError` if it is neither."""
    return _share(value, 1)


def minimum(value: object) -> Share:
    """Return a number from 0 or a percentage from 0%; raise :class:`MistakeError` if it is neither."""
    return _share(value, 0)


def number_in(value: object) -> object:
    """Return the number that a text is; anything else as it is. `-e NAME=VALUE` gives text."""
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return value


def batches(hosts: Sequence[str], spec: Share | list[Share] | tuple[Share, ...]) -> list[list[str]]:
    """Divide hosts as Ansible's `serial` does.

    Args:
        hosts: In the order in which they are worked on.
        spec: A number, a percentage of all hosts ("25%", at least one host), or a list of those, whose last
            entry repeats.

    Raises:
        MistakeError: The specification is of another form.
    """
    entries = list(spec) if isinstance(spec, list | tuple) else [spec]
    if not entries:
        raise MistakeError("is empty", 'write how many hosts each batch has, as in [1, "100%"]')
    sizes = [_batch_size(batch(entry), len(hosts)) for entry in entries]
    found: list[list[str]] = []
    begin = 0
    while begin < len(hosts):
        size = sizes[min(len(found), len(sizes) - 1)]
        found.append(list(hosts[begin : begin + size]))
        begin += size
    return found


def staying(hosts: int, min_serving_hosts: Share) -> int:
    """Return how many of a number of hosts have to stay in rotation; a percentage is rounded up.

    Raises:
        MistakeError: `min_serving_hosts` is neither a number from 0 nor a percentage.
    """
    share = minimum(min_serving_hosts)
    return share if isinstance(share, int) else math.ceil(_percent(share) * hosts / 100)


def drain_batch_size(hosts: int, min_serving_hosts: Share) -> int:
    """Return how many of a number of hosts may be out of rotation at once; 0 when none may.

    Raises:
        MistakeError: `min_serving_hosts` is neither a number from 0 nor a percentage.
    """
    return max(0, hosts - staying(hosts, min_serving_hosts))


def _share(value: object, least: int) -> Share:
    fix = f'write a whole number from {least}, or a percentage in quotes, as in "25%"'
    value = number_in(value)
    if isinstance(value, str) and PERCENT.fullmatch(value):
        if not least <= _percent(value) <= 100:
            raise MistakeError(f"is not from {least}% to 100%", fix)
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise MistakeError("is neither a whole number nor a percentage", fix)
    if value < least:
        raise MistakeError(f"is below {least}", fix)
    return int(value)


def _batch_size(share: Share, hosts: int) -> int:
    # As Ansible computes it, down to the rounding: 29% of 100 hosts are 28.
    return share if isinstance(share, int) else int(_percent(share) / 100.0 * hosts) or 1


def _percent(text: str) -> int:
    return int(text.removesuffix("%"))
