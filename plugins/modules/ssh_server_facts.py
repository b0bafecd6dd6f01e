#!/usr/bin/python
"""Ansible module: look at the SSH server, and at how Ansible gets in."""

from __future__ import annotations

import pwd
import re
from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils import ssh_session, sshd_configuration

DOCUMENTATION = r"""
module: ssh_server_facts
short_description: Look at the SSH server, and at how Ansible gets in
description:
  - Returns what the SSH server goes by, which files say it, what it supports, and whether the user of Ansible
    has a key.
  - Changes nothing.
options:
  drop_in:
    description: A file that sshd_config should include.
    type: path
    required: true
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Look at the SSH server
  farrier.kit.ssh_server_facts:
    drop_in: /etc/ssh/sshd_config.d/00-farrier.conf
"""

RETURN = r"""
ansible_facts:
  description: Facts under the name farrier_ssh_server.
  returned: always
  type: dict
  sample:
    farrier_ssh_server:
      error: ""
      settings: {passwordauthentication: "yes"}
      set_by: {passwordauthentication: "/etc/ssh/sshd_config:57"}
      set_before: {}
      is_socket_activated: false
      host_keys: [{path: /etc/ssh/ssh_host_ed25519_key, type: ED25519, bits: 256}]
      supported: {kex: [curve25519-sha256]}
      session: {user: admin, started: 12.3, address: 192.0.2.7, port: 22}
      has_key: true
"""

CONFIGURATION = Path("/etc/ssh/sshd_config")
HOST_KEY = re.compile(r"^(\d+) .*\((\S+)\)$")
KEYS_FROM_ELSEWHERE = ("authorizedkeyscommand", "trustedusercakeys")


def has_key(settings: dict[str, str], user: str, home: Path) -> bool:
    """Tell whether a user may have a key with which to get in.

    Args:
        settings: What the server goes by.
        user: Name of the user.
        home: Home directory of the user.
    """
    if any(settings.get(key, "none") != "none" for key in KEYS_FROM_ELSEWHERE):
        return True
    for pattern in settings.get("authorizedkeysfile", "").split():
        path = home / pattern.replace("%h", str(home)).replace("%u", user)
        if path.is_file() and re.search(r"^\s*[^#\s]", path.read_text(errors="replace"), re.MULTILINE):
            return True
    return False


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"drop_in": {"type": "path", "required": True}}, supports_check_mode=True
    )
    code, said, error = module.run_command(["/usr/sbin/sshd", "-T"])
    settings = sshd_configuration.settings(said)
    session = ssh_session.current()
    facts = {
        "error": error.strip() if code != 0 else "",
        "settings": settings,
        "set_by": sshd_configuration.set_by(CONFIGURATION),
        "set_before": sshd_configuration.set_before(CONFIGURATION, Path(module.params["drop_in"])),
        "is_socket_activated": module.run_command(["systemctl", "is-active", "--quiet", "ssh.socket"])[0]
        == 0,
        "host_keys": _host_keys(module),
        "supported": {
            kind: module.run_command(["ssh", "-Q", kind])[1].split() for kind in ("kex", "cipher", "mac")
        },
        "session": asdict(session) if session else None,
        "has_key": not session or has_key(settings, session.user, Path(pwd.getpwnam(session.user).pw_dir)),
    }
    module.exit_json(changed=False, ansible_facts={"farrier_ssh_server": facts})


def _host_keys(module: AnsibleModule) -> list[dict[str, str | int]]:
    keys: list[dict[str, str | int]] = []
    for path in sorted(Path("/etc/ssh").glob("ssh_host_*_key")):
        found = HOST_KEY.match(module.run_command(["ssh-keygen", "-l", "-f", str(path)])[1].strip())
        if found:
            keys.append({"path": str(path), "type": found[2], "bits": int(found[1])})
    return keys


if __name__ == "__main__":
    main()
