#!/usr/bin/python
"""Ansible module: write a settings file and run the command that applies it."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils import applied

DOCUMENTATION = r"""
module: applied_file
short_description: Write a settings file and run the command that applies it
description:
  - Writes a file and runs the command that applies it, in place of a handler. If a run fails between the
    two, on this host or another one, the next run finishes it.
  - Keeps what was last applied below /run, because a boot applies everything.
  - If only comments have changed, writes the file and does not run the command.
options:
  dest:
    description: The file. The module creates its directory.
    type: path
    required: true
  content:
    description: Content of the file.
    type: str
    required: true
  apply:
    description: Command with its arguments.
    type: list
    elements: str
    required: true
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Bound the journal
  farrier.kit.applied_file:
    dest: /etc/systemd/journald.conf.d/farrier.conf
    content: "{{ lookup('ansible.builtin.template', 'journald.conf.j2') }}"
    apply: [systemctl, restart, systemd-journald.service]
"""

RETURN = r"""
applied:
  description: Whether the command was run.
  returned: always
  type: bool
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
            "apply": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    path, content = Path(module.params["dest"]), module.params["content"]
    before = path.read_text() if path.exists() else ""
    due = not applied.is_applied(path, content)
    diff = {"before": before, "after": content, "before_header": str(path), "after_header": str(path)}
    if module.check_mode:
        module.exit_json(changed=due or before != content, applied=due, diff=diff)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    changed = applied.replace(path, content, 0o644)
    if due:
        code, _, stderr = module.run_command(module.params["apply"])
        if code != 0:
            command = " ".join(module.params["apply"])
            module.fail_json(msg=f"{path} was written, but {command} failed: {stderr.strip()}")
        applied.record(path, content)
    module.exit_json(changed=changed or due, applied=due, diff=diff)


if __name__ == "__main__":
    main()
