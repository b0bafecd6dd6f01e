#!/usr/bin/python
"""Ansible module: stop an app that has left the inventory, save its state and remove it."""

from __future__ import annotations

import pwd
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils import app_removal

DOCUMENTATION = r"""
module: app_removal
short_description: Stop an app, save its state and remove it from the host
description:
  - Stops all units of the app, saves its state directory to an archive in C(/var/backups/farrier), and
    removes units, releases, settings, logs, state and users.
  - Removes the packages of Debian that C(site.yml) has brought for this app and no other.
  - A host without the app is left as it is. A run that was interrupted is finished by the next.
options:
  name:
    description: Name of the app.
    type: str
    required: true
  save_state:
    description: Whether to save the state directory first.
    type: bool
    default: true
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Remove the app
  farrier.kit.app_removal:
    name: shop
"""

RETURN = r"""
name:
  description: Name of the app.
  returned: always
  type: str
removed:
  description: Whether the app was there.
  returned: always
  type: bool
packages:
  description: Packages of Debian that are removed with it.
  returned: always
  type: list
archive:
  description: Archive with the state of the app, or "".
  returned: always
  type: str
"""


APT_GET = ["apt-get", "--option=DPkg::Lock::Timeout=600"]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "save_state": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    app = app_removal.App(module.params["name"])
    homes = {user.pw_name: user.pw_dir for user in pwd.getpwall()}
    if homes.get(app.name) != str(app.state):
        module.exit_json(changed=False, removed=False, name=app.name, archive="", packages=[])
    if app.is_declared:
        fix = "Run ansible-playbook farrier.kit.site first"
        module.fail_json(msg=f"This host does not know yet that {app.name} has left `apps`. {fix}.")
    brought, record = app.packages()
    packages = [package for package in brought if _goes_alone(module, package)]
    saved = app.archive() if module.params["save_state"] and app.has_state else None
    if not module.check_mode:
        _stop(module, app)
        if saved:
            _save(module, app, saved)
        if packages:
            command = [*APT_GET, "remove", "--yes", *packages]
            module.run_command(command, check_rc=True, environ_update={"DEBIAN_FRONTEND": "noninteractive"})
        if app_removal.PACKAGES.exists():
            app_removal.PACKAGES.write_text("".join(f"{line}\n" for line in record))
        app.remove_files()
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
        # The app's own user last: by it the next run finds what is left.
        for user in (f"{app.name}-build", app.name):
            if user in homes:
                module.run_command(["userdel", user], check_rc=True)
    module.exit_json(changed=True, removed=True, name=app.name, archive=str(saved or ""), packages=packages)


def _goes_alone(module: AnsibleModule, package: str) -> bool:
    """Whether a package is installed, and no other one would go with it."""
    _, said, _ = module.run_command([*APT_GET, "--simulate", "remove", package])
    return [line.split()[1] for line in said.splitlines() if line.startswith("Remv ")] == [package]


def _stop(module: AnsibleModule, app: app_removal.App) -> None:
    words = ["list-units", "--plain", "--no-legend", "--state=active,activating", app.transaction]
    _, active, _ = module.run_command(["systemctl", *words])
    if active.strip():
        fix = "Wait for its end, then run again"
        module.fail_json(msg=f"A deploy of {app.name} is under way: {active.split()[0]}. {fix}.")
    # What could start the app again first, then all that runs.
    starters = [unit for unit in app.units() if not unit.endswith(".service")]
    module.run_command(["systemctl", "stop", *starters, app.slice], check_rc=True)


def _save(module: AnsibleModule, app: app_removal.App, archive: Path) -> None:
    archive.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    partial = archive.with_suffix(".partial")
    partial.touch(mode=0o600)
    command = ["tar", "--create", "--gzip", "--acls", "--sparse", "--file", str(partial)]
    module.run_command([*command, "--directory", str(app.state.parent), app.name], check_rc=True)
    module.run_command(["sync", str(partial)], check_rc=True)
    partial.rename(archive)


if __name__ == "__main__":
    main()
