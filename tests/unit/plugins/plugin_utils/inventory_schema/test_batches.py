"""How many hosts of a fleet are worked on at a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.executor.playbook_executor import PlaybookExecutor
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import MistakeError
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.batches import (
    batches,
    drain_batch_size,
)

HOSTS = [f"web{number}" for number in range(100)]


def serial(hosts: list[str], entries: list[Any]) -> list[list[str]]:
    """Divide hosts as a play with `serial` does."""
    inventory = SimpleNamespace(get_hosts=lambda *_, **__: list(hosts))
    play = SimpleNamespace(hosts="app", order=None, serial=entries)
    found: list[list[str]] = PlaybookExecutor._get_serialized_batches(
        SimpleNamespace(_inventory=inventory), play
    )
    return found


@pytest.mark.parametrize(
    "spec",
    [
        1,
        3,
        200,
        "1%",
        "29%",
        "50%",
        "100%",
        [1, "100%"],
        [1, 2, "25%"],
        ["2", "100%"],
        ["10%", 1],
        [2, "33%", 1],
    ],
)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 10, 100])
def test_batches_are_those_of_serial(spec: Any, count: int) -> None:
    """Who reads `release_batches` may think of `serial`, down to its rounding."""
    hosts = HOSTS[:count]
    assert batches(hosts, spec) == serial(hosts, spec if isinstance(spec, list) else [spec])


def test_first_batch_is_the_canary() -> None:
    """The default: one host, then all the others."""
    assert batches(["a", "b", "c"], [1, "100%"]) == [["a"], ["b", "c"]]
    assert batches(["a", "b", "c", "d", "e"], [1, 2]) == [["a"], ["b", "c"], ["d", "e"]]


@pytest.mark.parametrize("spec", [0, -1, True, None, 1.5, "0%", "101%", "25 %", "half", [], [1, 0], [[1]]])
def test_batches_of_another_form_are_refused(spec: Any) -> None:
    """Ansible takes 0 for "all at once", which is the contrary of careful."""
    with pytest.raises(MistakeError) as caught:
        batches(HOSTS, spec)
    assert caught.value.fix.startswith("write ")


@pytest.mark.parametrize(
    ("hosts", "min_serving_hosts", "expected"),
    [
        (1, 1, 0),
        (2, 1, 1),
        (3, 1, 2),
        (3, 0, 3),
        (2, 5, 0),
        (4, "50%", 2),
        # What has to stay is rounded up: one of three would be less than half.
        (3, "50%", 1),
        (3, "100%", 0),
        (3, "0%", 3),
    ],
)
def test_as_many_are_drained_as_leave_the_minimum(
    hosts: int, min_serving_hosts: int | str, expected: int
) -> None:
    """Never below it, never fewer than none."""
    assert drain_batch_size(hosts, min_serving_hosts) == expected


@pytest.mark.parametrize("min_serving_hosts", [-1, "150%", False])
def test_minimum_of_another_form_is_refused(min_serving_hosts: Any) -> None:
    """With the words of the inventory contract."""
    with pytest.raises(MistakeError):
        drain_batch_size(3, min_serving_hosts)
