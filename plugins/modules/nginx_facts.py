#!/usr/bin/python
"""Ansible module: gather facts that decide how nginx is configured."""

from __future__ import annotations

import re
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils.edge import foreign_configuration, listeners

DOCUMENTATION = r"""
module: nginx_facts
short_description: Gather facts that decide how nginx is configured
description:
  - Returns the versions of nginx and its OpenSSL, the drained hosts, whether the host has IPv6, who listens
    on given ports, which unit nginx was started by, whether systemd needs a daemon-reload for it, the
    password files of the kit, and files written by an operator that the kit would replace.
  - Tells whether nginx supports HTTP/3. If nginx is not installed, it asks apt for the candidate version.
    Packages of a version that knows HTTP/3 are assumed to be built with it.
  - Changes nothing.
options:
  drained_directory:
    description: Directory with one file per drained host.
    type: path
    required: true
  directory:
    description: Directory of the configuration.
    type: path
    default: /etc/nginx
  marker:
    description: First line of each file that the kit writes.
    type: str
    default: ""
  replaced:
    description: Files that the kit replaces or removes, relative to C(directory).
    type: list
    elements: str
    default: []
  unit_record:
    description: File in which nginx's unit records at each start what it was started by.
    type: path
    required: true
  ports:
    description: TCP ports whose listeners are returned.
    type: list
    elements: int
    default: [80, 443]
  udp_ports:
    description: UDP ports whose listeners are returned.
    type: list
    elements: int
    default: []
  users_directory:
    description: Directory of the password files. Files that are not named NAME-PLACE are not the kit's.
    type: path
    required: true
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Gather nginx facts
  farrier.kit.nginx_facts:
    drained_directory: /etc/nginx/drained
    users_directory: /etc/nginx/users
    unit_record: /run/farrier-nginx-unit
"""

RETURN = r"""
ansible_facts:
  description: Facts under the name farrier_nginx.
  returned: always
  type: dict
  sample:
    farrier_nginx:
      version: 1.26.3
      candidate: ""
      has_http3: true
      openssl: 3.5.1
      drained: []
      ipv6: true
      foreign: []
      needs_daemon_reload: false
      unit: 0f1e2d3c4b5a6978
      listeners: [{port: 80, protocol: tcp, process: apache2, pid: 312, unit: apache2.service}]
      users: [observatory-0a1b2c3d]
"""

NGINX = "/usr/sbin/nginx"
VERSION = re.compile(r"nginx version: \S+?/([\d.]+)")
USERS = f"*-{'[0-9a-f]' * 8}"
OPENSSL = re.compile(r"(?:running|built) with OpenSSL ([\d.]+)")
CANDIDATE = re.compile(r"^ *Candidate: (?:\d+:)?([\d.]*\d)", re.MULTILINE)
HTTP3_SINCE = (1, 25)


def has_http3(build: str, version: str) -> bool:
    """Tell whether nginx has HTTP/3, or would have it once it is installed.

    Of a package that is not there yet the version has to do: Debian's have it from the first that can.

    Args:
        build: What `nginx -V` says; "" where there is no nginx.
        version: What would be installed there; "" where apt knows none, and the installation will say so.
    """
    if build:
        return "--with-http_v3_module" in build.split()
    return not version or tuple(map(int, version.split("."))) >= HTTP3_SINCE


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "drained_directory": {"type": "path", "required": True},
            "directory": {"type": "path", "default": "/etc/nginx"},
            "marker": {"type": "str", "default": ""},
            "replaced": {"type": "list", "elements": "str", "default": []},
            "unit_record": {"type": "path", "required": True},
            "ports": {"type": "list", "elements": "int", "default": [80, 443]},
            "udp_ports": {"type": "list", "elements": "int", "default": []},
            "users_directory": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    built = module.run_command([NGINX, "-V"])[2] if Path(NGINX).exists() else ""
    candidate = "" if built else _last(CANDIDATE, _policy(module))
    facts = {
        "version": _last(VERSION, built),
        "candidate": candidate,
        "has_http3": has_http3(built, candidate),
        "drained": sorted(path.name for path in Path(module.params["drained_directory"]).glob("*")),
        "openssl": _last(OPENSSL, built),
        "ipv6": Path("/proc/net/if_inet6").exists(),
        "foreign": _foreign(module),
        "needs_daemon_reload": _needs_daemon_reload(module),
        "unit": _record(Path(module.params["unit_record"])),
        "listeners": listeners.listeners(
            module.run_command(listeners.SHOW)[1],
            {"tcp": module.params["ports"], "udp": module.params["udp_ports"]},
        ),
        "users": sorted(path.name for path in Path(module.params["users_directory"]).glob(USERS)),
    }
    module.exit_json(changed=False, ansible_facts={"farrier_nginx": facts})


def _policy(module: AnsibleModule) -> str:
    """Return what apt says of nginx, in English."""
    said: str = module.run_command(["apt-cache", "policy", "nginx"], environ_update={"LC_ALL": "C"})[1]
    return said


def _needs_daemon_reload(module: AnsibleModule) -> bool:
    show = ["systemctl", "show", "nginx.service", "--value", "--property=NeedDaemonReload"]
    return bool(module.run_command(show)[1].strip() == "yes")


def _record(path: Path) -> str:
    """Return what the running nginx was started by, "" where that is not known."""
    return path.read_text().strip() if path.exists() else ""


def _foreign(module: AnsibleModule) -> list[str]:
    wanted, root = module.params, Path(module.params["directory"])
    if not any((root / path).exists() for path in wanted["replaced"]):
        return []
    said = module.run_command(["dpkg-query", "--show", "--showformat=${Conffiles}\\n", "nginx*"])[1]
    conffiles = foreign_configuration.packaged(said)
    return foreign_configuration.foreign(root, wanted["replaced"], wanted["marker"], conffiles)


def _last(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.findall(text)
    return found[-1] if found else ""


if __name__ == "__main__":
    main()
