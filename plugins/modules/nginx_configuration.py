#!/usr/bin/python
"""Ansible module: install nginx's configuration after testing it as a whole."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils.edge import (
    configuration_tree,
    foreign_configuration,
)

DOCUMENTATION = r"""
module: nginx_configuration
short_description: Install the configuration of nginx after testing it as a whole
description:
  - Assembles the new configuration beside the live one, runs C(nginx -t) on it, and only then moves the
    files into place. If nginx rejects it, nothing on the host changes; the failure names file, line and
    reason.
  - Removes files below C(owned) that bear the marker and are no longer wanted. Files of others stay.
  - Keeps C(pending) on the host until nginx has loaded the new configuration, so that the next run finishes
    one that stopped in between. nginx's unit removes it.
options:
  directory:
    description: Directory of the configuration.
    type: path
    default: /etc/nginx
  files:
    description: Wanted content of each file, by its path relative to C(directory).
    type: dict
    required: true
  owned:
    description: Directory of the kit's own files, relative to C(directory).
    type: str
    required: true
  marker:
    description: First line of each file that the kit writes.
    type: str
    required: true
  absent:
    description: Further files to remove, relative to C(directory).
    type: list
    elements: str
    default: []
  backed_up:
    description: Files to copy before they are replaced or removed, relative to C(directory).
    type: list
    elements: str
    default: []
  backups:
    description: Directory in which each run creates a directory for these copies.
    type: path
    default: /var/backups/farrier
  pending:
    description: File that exists while nginx has not loaded the configuration on the disk.
    type: path
    required: true
  test:
    description: Whether to run C(nginx -t). In check mode a host may lack what the configuration refers to.
    type: bool
    default: true
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Install the nginx configuration
  farrier.kit.nginx_configuration:
    files: {nginx.conf: "{{ lookup('ansible.builtin.template', 'etc/nginx/nginx.conf.j2') }}"}
    owned: farrier
    marker: "# Managed by Farrier"
    pending: /run/farrier-nginx-pending
"""

RETURN = r"""
written:
  description: Files that were written.
  returned: always
  type: list
removed:
  description: Files that were removed.
  returned: always
  type: list
backup:
  description: Directory with the copies of replaced files, or "".
  returned: always
  type: str
"""

NGINX = "/usr/sbin/nginx"
COMPLAINT = re.compile(r"^(nginx: )?(\S+ \S+ )?\[\w+\] (\d+#\d+: )?")
PLACE = re.compile(r" in (/\S+):(\d+)")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "default": "/etc/nginx"},
            "files": {"type": "dict", "required": True},
            "owned": {"type": "str", "required": True},
            "marker": {"type": "str", "required": True},
            "absent": {"type": "list", "elements": "str", "default": []},
            "backed_up": {"type": "list", "elements": "str", "default": []},
            "backups": {"type": "path", "default": "/var/backups/farrier"},
            "pending": {"type": "path", "required": True},
            "test": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    root, pending = Path(wanted["directory"]), Path(wanted["pending"])
    changes = configuration_tree.compare(
        root, wanted["files"], wanted["owned"], wanted["marker"], wanted["absent"]
    )
    result: dict[str, Any] = {"written": sorted(changes.write), "removed": changes.remove, "backup": ""}
    if module._diff:
        result["diff"] = [
            _difference(root, path, wanted["files"].get(path)) for path in [*changes.write, *changes.remove]
        ]
    with configuration_tree.staged(root, changes) as stage:
        if wanted["test"]:
            _ask_nginx(module, stage, root)
        if changes and not module.check_mode:
            pending.touch()
            result["backup"] = _back_up(root, Path(wanted["backups"]), wanted["backed_up"])
            configuration_tree.publish(stage, root, changes)
    module.exit_json(changed=bool(changes) or pending.exists(), **result)


def _back_up(root: Path, backups: Path, paths: list[str]) -> str:
    if not paths:
        return ""
    directory = backups / f"nginx-{time.strftime('%Y%m%dT%H%M%S')}"
    foreign_configuration.back_up(root, paths, directory)
    return str(directory)


def _ask_nginx(module: AnsibleModule, stage: Path, root: Path) -> None:
    content, said = configuration_tree.test([NGINX, "-t", "-c", str(stage / "nginx.conf")], stage, root)
    complaints = [COMPLAINT.sub("", line) for line in said.splitlines() if "] " in line]
    if content:
        for complaint in complaints:
            module.warn(f"nginx: {complaint}")
        return
    message = "nginx rejected the configuration. The files on the host and the running nginx are unchanged.\n"
    message += "\n".join(complaints or [said])
    place = PLACE.search(said)
    if place and Path(place[1]).is_relative_to(root):
        message += (
            f"\n{_advice(module, stage / Path(place[1]).relative_to(root), Path(place[1]), int(place[2]))}"
        )
    module.fail_json(msg=message)


def _advice(module: AnsibleModule, staged: Path, path: Path, line: int) -> str:
    lines = (configuration_tree.read(staged) or "").splitlines()
    source = f"line {line} of {path}: {lines[line - 1].strip()}\n" if line <= len(lines) else ""
    kits = lines[:1] == [module.params["marker"]]
    return source + (
        f"{path.name} is generated from the inventory: correct the settings of {path.stem}, then run again."
        if kits
        else f"{path} is not generated by this run: correct or remove it on the host, then run again."
    )


def _difference(root: Path, path: str, after: str | None) -> dict[str, str]:
    before = configuration_tree.read(root / path)
    name = str(root / path)
    return {"before": before or "", "after": after or "", "before_header": name, "after_header": name}


if __name__ == "__main__":
    main()
