"""Write docs/inventory.md from the model of the inventory contract; with --check, fail when it is stale."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

sys.path.append(str(Path(__file__).resolve().parents[1] / "collections"))

from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
    App,
    Certificate,
    Edge,
    EdgePath,
    Fleet,
    Hooks,
    Source,
)
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.names import (
    KIT_SUFFIXES,
    RESERVED_ENVIRONMENT_NAMES,
    RESERVED_ENVIRONMENT_PREFIXES,
)

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs/inventory.md"

INTRODUCTION = """\
<!-- Made by `python tools/inventory_docs.py` from plugins/plugin_utils/inventory_schema. -->
# The inventory

Two groups say what a host is: `edge` hosts run nginx and hold the certificates, `app` hosts run gunicorn and
the releases. A host may be in both. The list `apps` says what runs there; define it in `group_vars/all.yml`,
where edge and app hosts both see it.

```yaml
apps:
{example}
```

Everything is checked before any host is touched. Each mistake is told with app, key, value and fix, all of
them at once; values of `secrets` and of vaulted variables are never shown.
"""

RULES = """\
## Rules beyond the single key

- Names of apps and domains are unique. A domain belongs to one app, on whatever hosts that runs.
- A wildcard (`*.example.org`) is never the first of `domains`, and needs a `certificate` by DNS or from
  elsewhere than an authority. Files of a certificate are looked at: key, names, order and dates.
- An app cannot have the name of a user, group or unit of the system, as nginx, root or mail are, nor end in
  {suffixes}.
- A variable stands in `env` or in `secrets`, not in both. These are set or read by others and cannot be
  used: {variables}.
- All values of `env` and `secrets` are text: write `PORT: "8000"`, and `"{{{{ web_port | string }}}}"` in a
  template that yields a number. YAML has turned 01234 into 668 and `no` into false before anyone sees it.
- Edge and app hosts may be different machines. An app on an edge is on a host of the group `app`, too; two
  apps of a host never share a `port`. An edge and an app host that is another machine have an IP address
  where the other reaches them, no two app hosts the same one.
- `release_error_percent_max` needs `release_soak_seconds`. `release_min_serving_hosts` leaves an app host to
  drain wherever an app has more than one.
- Paths on the controller are absolute and must exist: begin them with `{{{{ inventory_dir }}}}`.
"""


FLEET = """\
## Variables of a fleet

{summary}
They stand beside `apps`, in `group_vars/all.yml`, and `private_address` with its host. For one run:
`-e '{{"release_batches": [1]}}'`.
"""


def yaml_line(value: object) -> str:
    """Write a value as YAML in one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def default_text(model: type[BaseModel], key: str) -> str:
    """Write the default of a key, or that it is required."""
    field = model.model_fields[key]
    if field.is_required():
        return "**required**"
    default = field.get_default(call_default_factory=True)
    return "" if default is None or isinstance(default, BaseModel) else f"`{yaml_line(default)}`"


def table(model: type[BaseModel]) -> str:
    """Write the keys of a model as a table."""
    lines = ["| key | type | default | meaning | example |", "| --- | --- | --- | --- | --- |"]
    for key, field in model.model_fields.items():
        extra: Any = field.json_schema_extra
        example = yaml_line(field.examples[0]) if field.examples else ""
        cells = [
            f"`{key}`",
            extra["kind"],
            default_text(model, key),
            field.description,
            f"`{key}: {example}`",
        ]
        lines.append(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def example() -> str:
    """Write an app that uses the required keys and the most usual others."""
    shown = [key for key, field in App.model_fields.items() if field.is_required()]
    lines = [
        f"{key}: {yaml_line((App.model_fields[key].examples or [''])[0])}"
        for key in [*shown, "env", "secrets"]
    ]
    return "\n".join(f"  {'- ' if number == 0 else '  '}{line}" for number, line in enumerate(lines))


def page() -> str:
    """Write the whole page."""
    variables = [*RESERVED_ENVIRONMENT_NAMES, *(f"{prefix}*" for prefix in RESERVED_ENVIRONMENT_PREFIXES)]
    rules = RULES.format(
        suffixes=", ".join(f"`{suffix}`" for suffix in KIT_SUFFIXES),
        variables=", ".join(f"`{name}`" for name in sorted(variables)),
    )
    parts = [
        INTRODUCTION.format(example=example()),
        f"## Keys of an app\n\n{table(App)}\n",
        f"## Keys of `source`\n\nExactly one of `path`, `git` and `archive`.\n\n{table(Source)}\n",
        f"## Keys of `hooks`\n\n{Hooks.__doc__}\n\n{table(Hooks)}\n",
        f"## Keys of `edge`\n\n{Edge.__doc__}\n\n{table(Edge)}\n",
        f"## Keys of a prefix in `edge.paths`\n\n{EdgePath.__doc__}\n\n{table(EdgePath)}\n",
        f"## Keys of `certificate`\n\n{Certificate.__doc__}\n\n{table(Certificate)}\n",
        f"{FLEET.format(summary=Fleet.__doc__)}\n{table(Fleet)}\n",
        rules,
    ]
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; return the exit code."""
    if arguments == ["--check"]:
        if TARGET.exists() and TARGET.read_text() == page():
            return 0
        print(f"{TARGET.relative_to(ROOT)} is stale; run: python tools/inventory_docs.py", file=sys.stderr)
        return 1
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(page())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
