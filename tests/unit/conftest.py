"""Fixtures that tests of several places use."""

from tests.unit.certificates import make_certificate, make_lineage
from tests.unit.playbooks import load_plugin, run_playbook

__all__ = ["load_plugin", "make_certificate", "make_lineage", "run_playbook"]
