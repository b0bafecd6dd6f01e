#!/usr/bin/python
"""Ansible module: wait for apt, and install what Ansible's own module for it needs."""

from __future__ import annotations

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils import apt_lock

DOCUMENTATION = r"""
module: apt_packages
short_description: Wait for apt, and install packages on a host without python3-apt
description:
  - Waits until no other process holds a lock of apt or dpkg. A host that has just booted upgrades itself.
  - Installs packages with C(apt-get), for a host without python3-apt. Without packages it only waits.
options:
  name:
    description: Packages to install, after an update of the package lists.
    type: list
    elements: str
    default: []
  unstarted_services:
    description: Further packages, each with a service of the same name that must not be started.
    type: list
    elements: str
    default: []
  lock_timeout:
    description: Time limit for the wait, in seconds.
    type: int
    default: 600
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Wait for apt
  farrier.kit.apt_packages:
    lock_timeout: 60
"""

RETURN = r"""
waited_seconds:
  description: How long another process held the locks.
  returned: always
  type: float
holder:
  description: The process that still holds a lock, or "".
  returned: always
  type: str
"""

APT_GET = ["apt-get", "--option=DPkg::Lock::Timeout=60"]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "default": []},
            "unstarted_services": {"type": "list", "elements": "str", "default": []},
            "lock_timeout": {"type": "int", "default": 600},
        },
    )
    waited, holder = apt_lock.wait(module.params["lock_timeout"])
    result = {"waited_seconds": round(waited, 1), "holder": str(holder or "")}
    packages, services = module.params["name"], module.params["unstarted_services"]
    if holder or not packages:
        module.exit_json(changed=False, **result)
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    units = [f"{service}.service" for service in services]
    try:
        for unit in units:
            module.run_command(["systemctl", "mask", "--quiet", "--runtime", unit], check_rc=True)
        module.run_command([*APT_GET, "update"], check_rc=True)
        install = ["install", "--yes", "--no-install-recommends"]
        module.run_command([*APT_GET, *install, *packages, *services], check_rc=True)
    finally:
        for unit in units:
            module.run_command(["systemctl", "unmask", "--quiet", "--runtime", unit])
    module.exit_json(changed=True, **result)


if __name__ == "__main__":
    main()
