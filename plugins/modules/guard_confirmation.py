#!/usr/bin/python
"""Ansible module: let a guarded change stay."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils import ssh_session, way_back

DOCUMENTATION = r"""
module: guard_confirmation
short_description: Let a guarded change of a host stay
description:
  - Confirms what M(farrier.kit.applied_file) has written with O(farrier.kit.applied_file#module:undo), so
    that the host does not put back what was there.
  - Fails unless the SSH connection that it comes over is newer than the change. Close the old one before,
    as M(ansible.builtin.wait_for_connection) does.
options: {}
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Connect again
  ansible.builtin.wait_for_connection:
    timeout: 20

- name: Confirm the change over a new connection
  farrier.kit.guard_confirmation:
"""

RETURN = r"""#"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=False)
    session = ssh_session.current()
    try:
        way_back.confirm(session.started if session else None)
    except way_back.UnconfirmedError as error:
        module.fail_json(msg=f"Not confirmed: {error}.")
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
