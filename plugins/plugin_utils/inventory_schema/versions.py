"""Which ansible-core this is made for; tests/policy holds every other file that says it to this one."""

from __future__ import annotations

import re
import sys

from .mistakes import Problem

CORE_OLDEST = (2, 19)
CORE_BEFORE = (2, 22)


def core_problems(version: str) -> list[Problem]:
    """Return the problem of an ansible-core outside the supported range, if it is.

    Args:
        version: As in "2.19.14".
    """
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and CORE_OLDEST <= (int(numbers[1]), int(numbers[2])) < CORE_BEFORE:
        return []
    supported = f"from {_text(CORE_OLDEST)}, below {_text(CORE_BEFORE)}"
    versions = f"ansible-core>={_text(CORE_OLDEST)},<{_text(CORE_BEFORE)}"
    fix = f"install it, {sys.executable} -m pip install '{versions}', or use a clone's .venv"
    return [Problem("ansible-core", "", version, f"is not supported ({supported})", fix)]


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
