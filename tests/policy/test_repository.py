"""The rules of the house hold for this checkout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import play_rules, python_rules, role_rules, secret_rules

ROOT = Path(__file__).resolve().parents[2]
Rule = Callable[[Path], Iterator[str]]

RULES: list[Rule] = [
    play_rules.every_play_is_fatal_for_all,
    play_rules.no_errors_are_ignored,
    play_rules.every_command_says_when_it_changes,
    play_rules.every_module_is_fully_qualified,
    play_rules.every_role_is_fully_qualified,
    play_rules.tags_reach_what_is_included,
    play_rules.no_set_decides_an_order,
    play_rules.every_task_has_a_name_of_its_own,
    play_rules.every_task_file_fits_a_screen,
    role_rules.every_role_has_complete_specs,
    role_rules.every_role_has_a_current_readme,
    role_rules.every_variable_bears_its_role,
    role_rules.no_role_knows_anothers_variables,
    role_rules.no_python_is_templated,
    python_rules.every_test_says_why,
    python_rules.no_test_is_skipped,
    python_rules.no_plugin_changes_where_python_imports_from,
    python_rules.every_exception_gives_its_reason,
    secret_rules.no_loop_carries_an_app,
    secret_rules.no_task_says_an_app,
    secret_rules.no_task_says_a_secret,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds(rule: Rule) -> None:
    """Each violation is a line with file, name and what to do; the rule's own docstring says why."""
    violations = [line.replace(f"{ROOT}/", "") for line in rule(ROOT)]
    assert not violations, "\n".join(["", rule.__doc__ or "", *violations])
