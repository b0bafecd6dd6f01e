"""Each alert has a page that says what to do, and a severity by which somebody is told."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.farrier.kit.plugins.plugin_utils import alertmanager

from tests.harness import alert_rules

PAGE = Path(__file__).resolve().parents[4] / "docs/alerts.md"
SEVERITY = re.compile(r"^\*\*(page|warning|notice)\*\*", re.MULTILINE)


def test_each_alert_has_a_heading_and_each_heading_an_alert() -> None:
    """In docs/alerts.md, one and no more."""
    headings = re.findall(r"^## (\w+)$", PAGE.read_text(), re.MULTILINE)
    assert sorted(headings) == sorted({rule["alert"] for rule in alert_rules.alerts()})


def test_the_page_tells_the_severity_of_each_alert() -> None:
    """As the rule has it; the worst one, if there are two."""
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    told = {section.partition("\n")[0]: SEVERITY.search(section) for section in sections}
    for rule in alert_rules.alerts():
        found, severity = told[rule["alert"]], rule["labels"]["severity"]
        if severity == "heartbeat":
            assert found is None
        else:
            assert severity in alertmanager.SEVERITIES
            assert found, rule["alert"]
            assert list(alertmanager.SEVERITIES).index(found[1]) <= alertmanager.SEVERITIES.index(severity)


def test_each_alert_says_what_is_wrong_where() -> None:
    """In a sentence."""
    for rule in alert_rules.alerts():
        assert rule["annotations"]["summary"].strip().endswith(".")
