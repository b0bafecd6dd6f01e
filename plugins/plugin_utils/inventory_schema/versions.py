"""Which ansible-core this is made for."""

from __future__ import annotations

import re

from .mistakes import Problem

CORE_OLDEST = (2, 19)
CORE_BEFORE = (2, 20)


def core_problems(version: str) -> list[Problem]:
    """Return the problem of an ansible-core outside the supported range, if it is.

    Args:
        version: As in "2.19.14".
    """
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and CORE_OLDEST <= (int(numbers[1]), int(numbers[2])) < CORE_BEFORE:
        return []
    supported = f"from {_text(CORE_OLDEST)}, below {_text(CORE_BEFORE)}"
    fix = "use .venv/bin/ansible-playbook of this project, which has the version that was tested"
    return [Problem("ansible-core", "", version, f"is not supported ({supported})", fix)]


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
