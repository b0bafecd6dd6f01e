"""The strategy plugin: when mitogen is used, and that a run says so once."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.playbooks import Play

PLAYBOOK = """
- name: First
  hosts: all
  connection: local
  gather_facts: false
  tasks:
    - name: A module runs
      ansible.builtin.command: echo {{ 6 * 7 }}
      changed_when: false
      register: answer

- name: Second
  hosts: all
  connection: local
  gather_facts: false
  tasks:
    - name: Its answer is there
      ansible.builtin.assert:
        that: answer.stdout == "42"
"""


@pytest.fixture
def strategy(load_plugin: Callable[[str, str], ModuleType]) -> ModuleType:
    """Return the plugin's module."""
    return load_plugin("strategy", "farrier")


def test_tested_pair_uses_mitogen(strategy: ModuleType) -> None:
    """The pair of the lock file is one that was tested."""
    core, mitogen = metadata.version("ansible-core"), metadata.version("mitogen")
    assert strategy.reason_for_linear("", mitogen, core) == ""
    assert strategy.reason_for_linear("mitogen", mitogen, core) == ""


@pytest.mark.parametrize(
    ("wanted", "mitogen", "core", "reason"),
    [
        ("free", "0.3.54", "2.19.14", "FARRIER_STRATEGY=free is unknown"),
        ("", None, "2.19.14", "mitogen is not installed"),
        ("", "0.3.53", "2.19.14", "untested"),
        ("", "0.4.0", "2.19.14", "untested"),
        ("", "0.3.54", "2.22.0", "untested"),
        ("", "0.3.54", "2.18.3", "untested"),
    ],
)
def test_other_cases_fall_back(
    strategy: ModuleType, wanted: str, mitogen: str | None, core: str, reason: str
) -> None:
    """Without a tested mitogen the run works all the same, and says why it is slow."""
    assert reason in strategy.reason_for_linear(wanted, mitogen, core)


def test_linear_on_request_is_no_complaint(strategy: ModuleType) -> None:
    """Who asked for it is told just that."""
    assert strategy.reason_for_linear("linear", "0.3.54", "2.19.14") == "FARRIER_STRATEGY=linear"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [("", f"strategy: mitogen {metadata.version('mitogen')}"), ("linear", "strategy: linear")],
)
def test_run_says_its_strategy_once(run_playbook: Play, wanted: str, expected: str) -> None:
    """Both really run modules; two plays give one line."""
    run = run_playbook(PLAYBOOK, FARRIER_STRATEGY=wanted)
    assert run.returncode == 0, run.stdout + run.stderr
    assert [line for line in run.stdout.splitlines() if line.startswith("strategy:")] == [
        line for line in run.stdout.splitlines() if expected in line
    ]
    assert run.stdout.count(expected) == 1


def test_a_run_warns_of_nothing(run_playbook: Play) -> None:
    """What is said in every run hides what is not."""
    run = run_playbook(PLAYBOOK)
    assert run.returncode == 0
    assert "WARNING" not in run.stdout + run.stderr


def test_no_other_warning_is_left_out(strategy: ModuleType) -> None:
    """Another plugin may be deprecated, too."""
    given: list[str] = []
    give = strategy.without_known(lambda message, **_: given.append(message))
    give("Use of strategy plugins not included in ansible.builtin are deprecated and do not carry …")
    give("The filter is deprecated.", version="2.23")
    assert given == ["The filter is deprecated."]


LOADED = """
import sys

class FilterModule:
    def filters(self):
        return {"loaded": lambda name: name in sys.modules}
"""


def test_tasks_have_the_contract_loaded(run_playbook: Play, tmp_path: Path) -> None:
    """Else each would import pydantic for itself, which takes longer than most tasks."""
    (tmp_path / "filter_plugins").mkdir()
    (tmp_path / "filter_plugins" / "loaded.py").write_text(LOADED)
    run = run_playbook(PLAYBOOK.replace('answer.stdout == "42"', "('pydantic' | loaded)"))
    assert run.returncode == 0, run.stdout + run.stderr
