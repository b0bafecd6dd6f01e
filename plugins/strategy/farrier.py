"""Strategy that runs tasks through mitogen where it is installed and fits, and as `linear` otherwise.

Order and failures are those of `linear` either way; mitogen is 4 to 7 times faster over SSH.
`FARRIER_STRATEGY=linear` in the environment does without it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module, metadata
from typing import Any, cast

from ansible.collections.list import list_collection_dirs
from ansible.plugins.loader import filter_loader, test_loader
from ansible.plugins.strategy.linear import StrategyModule as LinearStrategy
from ansible.release import __version__ as core_version
from ansible.utils.display import Display

DOCUMENTATION = """
    name: farrier
    short_description: linear, through mitogen where that is possible
    description:
        - Runs each task on all hosts before the next, as C(ansible.builtin.linear) does.
        - Uses mitogen when it is installed in a version that fits ansible-core, and says so once a run.
        - C(FARRIER_STRATEGY=linear) in the environment does without mitogen.
    author: Farrier
"""

Version = tuple[int, ...]

# ansible-core → the range of mitogen that was tested with it. Other pairs run as `linear`.
TESTED: dict[Version, tuple[Version, Version]] = dict.fromkeys(
    [(2, 19), (2, 20), (2, 21)], ((0, 3, 54), (0, 4))
)
# Said in every run of whoever has chosen this strategy.
KNOWN = (
    # The loader, of any strategy that is not ansible-core's own.
    "Use of strategy plugins not included in ansible.builtin",
    # ansible-core 2.20 and later, of a collection within itself, when mitogen lists the collections.
    "ansible_collections/ansible/_protomatter' does not have a MANIFEST.json",
)


def version_numbers(text: str) -> Version:
    """Return the leading numbers of a version, as (0, 3, 54) of "0.3.54rc1"."""
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(number) for number in found[0].split(".")) if found else ()


def reason_for_linear(wanted: str, mitogen: str | None, core: str) -> str:
    """Say why mitogen is not used, or return "" when it is.

    Args:
        wanted: Value of FARRIER_STRATEGY, "" if unset.
        mitogen: Installed version, None if it is not installed.
        core: Version of ansible-core.
    """
    if wanted == "linear":
        return "FARRIER_STRATEGY=linear"
    if wanted not in ("", "mitogen"):
        return f"FARRIER_STRATEGY={wanted} is unknown; use mitogen or linear"
    if mitogen is None:
        return "mitogen is not installed; `pip install mitogen` makes runs several times faster"
    tested = TESTED.get(version_numbers(core)[:2])
    if tested is None or not tested[0] <= version_numbers(mitogen) < tested[1]:
        return f"mitogen {mitogen} is untested with ansible-core {core}"
    return ""


def without_known(give: Callable[..., None]) -> Callable[..., None]:
    """Return a method of Ansible's display that leaves out the warnings of KNOWN, and gives all others.

    Args:
        give: `Display.warning` or `Display.deprecated`.
    """

    def give_others(msg: str, *arguments: Any, **options: Any) -> None:
        if not any(known in msg for known in KNOWN):
            give(msg, *arguments, **options)

    return give_others


def load_ahead() -> None:
    """Load what most tasks use: each runs in a fork of this process, and would load it for itself."""
    # What is missing for it is a failure of the first task that needs it.
    with suppress(Exception):
        for loader in (filter_loader, test_loader):
            list(loader.all())
        filter_loader.get("farrier.kit.app_defaults")
        import_module("ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.resolve")
        list(list_collection_dirs())  # mitogen looks at them for each module of a collection


def _installed_version() -> str | None:
    try:
        return metadata.version("mitogen")
    except metadata.PackageNotFoundError:
        return None


def strategy_class(wanted: str, mitogen: str | None, core: str) -> type:
    """Return the class that runs the plays, and tell the operator which it is. Arguments as above."""
    display = Display()
    display.deprecated = without_known(display.deprecated)
    display.warning = without_known(display.warning)
    load_ahead()
    reason = reason_for_linear(wanted, mitogen, core)
    if reason:
        display.display(f"strategy: linear ({reason})")
        return cast("type", LinearStrategy)
    # Only here is mitogen known to be there. Its mixin needs no path: `linear` is the base.
    from ansible_mitogen.strategy import StrategyMixin

    display.display(f"strategy: mitogen {mitogen}")
    return type("StrategyModule", (StrategyMixin, LinearStrategy), {})


StrategyModule = strategy_class(os.environ.get("FARRIER_STRATEGY", ""), _installed_version(), core_version)
