"""What mitogen has made is what Ansible's own strategy would make."""

from __future__ import annotations

import re

import pytest

from tests.harness.deploys import ROOT, run

SITE = "site"


@pytest.mark.parametrize("options", [(), ("--check",)], ids=["run", "check"])
def test_ansibles_own_strategy_finds_nothing_to_change(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """Whoever may not use mitogen gets the same hosts; `bad_release` is made without it from nothing."""
    monkeypatch.setenv("FARRIER_STRATEGY", "linear")
    done = run(ROOT / "molecule/default/inventory", SITE, options)
    assert not done.failed, done.output
    assert "mitogen" not in done.output
    changed = dict(re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", done.output, re.MULTILINE))
    assert changed
    assert set(changed.values()) == {"0"}, done.output
