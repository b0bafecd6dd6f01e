"""Write docs/inventory.md from the model of the inventory contract; with --check, fail when it is stale."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

sys.path.append(str(Path(__file__).resolve().parents[1] / "collections"))

from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
    Allowed,
    App,
    Backup,
    Certificate,
    Edge,
    EdgePath,
    Fleet,
    Guard,
    Hooks,
    Keep,
    Monitoring,
    Needs,
    Postgresql,
    Process,
    Receiver,
    Sandbox,
    Source,
    Timer,
    Valkey,
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

The inventory says two things:

- **Which machines.** Hosts of the group `edge` run nginx and hold the certificates. Hosts of the group `app`
  run gunicorn and the releases. If an app `needs` it, a host of `database` runs PostgreSQL, and the host of
  `cache` Valkey. A host may be in all of them. A host of the group `backup`, if there is one, holds the
  backups of app and database hosts. The host of `monitor`, if there is one, watches all of them.
- **Which apps.** They are in the list `apps`. Define it in `group_vars/all.yml`, where edge and app hosts
  both see it.

```yaml
apps:
{example}
```

Each run checks the whole inventory before it touches a host, and reports all mistakes at once, each with app,
key, value and fix. It never shows the values of `secrets` or of vaulted variables.
"""

RULES = """\
## Rules across keys

- The names of apps are unique. A domain belongs to one app, on whatever hosts that app runs, or to
  several with different `path`, which then have all `domains` and the `certificate` in common.
- An app with a `path` answers below it. What its other keys say of URLs (`health_path`, `static`,
  `edge.paths`) is below it, too. The app itself is asked without it, and gets it as `root_path`.
- With `static: {{/: frontend/dist}}`, nginx answers with the files of a built front end, and with its
  `index.html` for paths that have no file. `app_paths` has the prefixes that the app answers,
  `health_path` among them. The edges must be app hosts.
- A wildcard (`*.example.org`) must not be the first of `domains`. It needs
  `certificate: {{challenge: dns}}`, or a certificate from elsewhere than a certificate authority (CA), see
  [tls.md](tls.md).
- With `certificate: {{source: files}}`, the key must belong to the certificate. The certificate must cover
  every domain, come first in its file, and be valid.
- An app cannot have the name of a user, group or unit of the system, such as nginx, root or mail. Its name
  cannot begin with `systemd-` or `farrier-`, or end in {suffixes}.
- A variable is in `env` or in `secrets`, not in both. These are set or read by systemd, gunicorn or Farrier,
  and cannot be used: {variables}.
- What `needs` asks for takes a host in its group, `database` or `cache`. Its variable is in neither `env` nor
  `secrets`: an app with a URL of its own does without the need.
- All values of `env` and `secrets` are text. Write `PORT: "8000"` with quotes, and
  `"{{{{ web_port | string }}}}"` for a template that yields a number. Without quotes, YAML turns 01234 into
  668 and `no` into false.
- An app on an edge must also be in `apps` of a host of the group `app`, with the same domains.
- Two apps on one host cannot share a `port`.
- If an edge and an app host are different machines, each needs an IP address at which the other reaches it.
  No two app hosts have the same address.
- `release_error_percent_max` needs `release_soak_seconds`. `release_min_serving_hosts` must leave at least
  one host that can be drained, for every app that has more than one.
- Paths on the controller are absolute and must exist. Begin them with `{{{{ inventory_dir }}}}`.
"""


FLEET = """\
## Variables of a fleet

{summary}
Write them beside `apps` in `group_vars/all.yml`, and `private_address` beside its host. For one run:
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
    """Write an app that uses the most usual keys."""
    shown = ("name", "domains", "source", "module", "env", "secrets")
    lines = [f"{key}: {yaml_line((App.model_fields[key].examples or [''])[0])}" for key in shown]
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
        f"## Keys of `source`\n\nGive exactly one of `path`, `git` and `archive`.\n\n{table(Source)}\n",
        f"## Keys of `hooks`\n\n{Hooks.__doc__}\n\n{table(Hooks)}\n",
        f"## Keys of a process in `processes`\n\n{Process.__doc__}\n\n{table(Process)}\n",
        f"## Keys of a timer in `timers`\n\n{Timer.__doc__}\n\n{table(Timer)}\n",
        f"## Keys of `needs`\n\n{Needs.__doc__}\n\n{table(Needs)}\n",
        f"## Keys of `needs.postgresql`\n\n{Postgresql.__doc__}\n\n{table(Postgresql)}\n",
        f"## Keys of `needs.valkey`\n\n{Valkey.__doc__}\n\n{table(Valkey)}\n",
        f"## Keys of `sandbox`\n\n{Sandbox.__doc__}\n\n{table(Sandbox)}\n",
        f"## Keys of `edge`\n\n{Edge.__doc__}\n\n{table(Edge)}\n",
        f"## Keys of a prefix in `edge.paths`\n\n{EdgePath.__doc__}\n\n{table(EdgePath)}\n",
        f"## Keys of `certificate`\n\n{Certificate.__doc__}\n\n{table(Certificate)}\n",
        f"{FLEET.format(summary=Fleet.__doc__)}\n{table(Fleet)}\n",
        f"## Variables of backups\n\n{Backup.__doc__}\nThey are the same for all hosts.\n\n{table(Backup)}\n",
        f"## Keys of `backup_keep`\n\n{Keep.__doc__}\n\n{table(Keep)}\n",
        f"## Variables of monitoring\n\n{Monitoring.__doc__}\n\n{table(Monitoring)}\n",
        f"## Keys of a receiver in `monitoring_receivers`\n\n{Receiver.__doc__}\n\n{table(Receiver)}\n",
        f"## Variables of firewall and SSH server\n\n{Guard.__doc__}\n\n{table(Guard)}\n",
        f"## Keys of an entry in `firewall_allow`\n\n{Allowed.__doc__}\n\n{table(Allowed)}\n",
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
