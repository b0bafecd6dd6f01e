"""The alert rules of the role monitoring as a host gets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import yaml

ROLE = Path(__file__).resolve().parents[2] / "roles/monitoring"
TEMPLATE = ROLE / "templates/etc/prometheus/farrier/rules.yml.j2"


def text() -> str:
    """Return the file with the thresholds that the role has by default."""
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    window = f"[{defaults['monitoring_window_seconds']}s]"
    environment = jinja2.Environment(
        variable_start_string="[[",
        variable_end_string="]]",
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    template = environment.from_string(TEMPLATE.read_text())
    return template.render(__monitoring_window=window, **defaults)


def alerts() -> list[dict[str, Any]]:
    """Return the rules."""
    [group] = yaml.safe_load(text())["groups"]
    return [rule for rule in group["rules"] if "alert" in rule]
