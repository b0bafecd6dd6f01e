#!/usr/bin/python
"""Ansible module: look at what a host lets in, and at what would be shut out."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils import ssh_session
from ansible_collections.farrier.kit.plugins.module_utils.edge import listeners

DOCUMENTATION = r"""
module: firewall_facts
short_description: Look at what a host lets in, and at what a firewall would shut out
description:
  - Returns who listens on the host, which other firewalls there are, and whether the host goes by the rules
    in a file.
  - Changes nothing.
options:
  rules:
    description: The file with the rules of the table C(inet farrier).
    type: path
    required: true
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Look at what the host lets in
  farrier.kit.firewall_facts:
    rules: /etc/farrier/firewall.nft
"""

RETURN = r"""
ansible_facts:
  description: Facts under the name farrier_firewall.
  returned: always
  type: dict
  sample:
    farrier_firewall:
      is_first: true
      is_loaded: false
      managers: {}
      tables: [inet operator]
      published: [{port: 8080, protocol: tcp}]
      ssh_ports: [22]
      dhcp_ports: [68, 546]
      session: {user: admin, started: 12.3, address: 192.0.2.7, port: 22}
      listeners: [{port: 9000, protocol: tcp, process: python3, pid: 312, unit: legacy.service}]
"""

TABLE = ["inet", "farrier"]
NFT = "/usr/sbin/nft"
LIST = [NFT, "--stateless", "--terse", "list", "table", *TABLE]
# What the rules come to, in a network that nobody has.
EXPECTED = ["unshare", "--net", "sh", "-c", '/usr/sbin/nft -f "$0" && exec "$@"']
LOOPBACK = re.compile(r"^(127\.|\[::1\]|\[::ffff:127\.|\S+%lo:)")
PUBLISHED = re.compile(r"\b(tcp|udp) dport (\d+)\b.* dnat (?:ip |ip6 )?to ")
DHCP_PORTS = [68, 546]
PORTS = range(1, 65536)
UFW = Path("/etc/ufw/ufw.conf")


def reachable(said: str, ephemeral: range) -> str:
    """Leave out what nobody else reaches: the loopback, and sockets that wait for answers by UDP.

    Args:
        said: What `listeners.SHOW` prints.
        ephemeral: Ports that the host gives to those who ask for any.
    """
    kept = []
    for line in said.splitlines():
        protocol, _, _, _, address = line.split()[:5]
        port = address.rpartition(":")[2]
        waits = protocol == "udp" and "users:" in line and port.isdigit() and int(port) in ephemeral
        if not LOOPBACK.match(address) and not waits:
            kept.append(line)
    return "\n".join(kept)


def published(ruleset: str) -> list[dict[str, Any]]:
    """Return the ports that are passed on to containers before a table of the host sees them."""
    found = sorted({(int(port), protocol) for protocol, port in PUBLISHED.findall(ruleset)})
    return [{"port": port, "protocol": protocol} for port, protocol in found]


def is_enabled(ufw: str) -> bool:
    """Tell from its configuration whether ufw is on: its unit is active in any case."""
    return re.search(r"^ENABLED=yes", ufw, re.MULTILINE) is not None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"rules": {"type": "path", "required": True}}, supports_check_mode=True
    )
    rules = module.params["rules"]
    loaded = _said(module, LIST)
    first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    session = ssh_session.current()
    managers = {}
    if UFW.exists() and is_enabled(UFW.read_text()):
        managers["ufw"] = "Leave one of the two: `ufw disable`, or firewall_enabled: false"
    if _said(module, ["systemctl", "is-active", "firewalld.service"]).strip() == "active":
        managers["firewalld"] = (
            "Leave one of the two: `systemctl disable --now firewalld`, or firewall_enabled: false"
        )
    facts = {
        "is_first": not Path(rules).exists(),
        "is_loaded": bool(loaded) and loaded == _said(module, [*EXPECTED, rules, *LIST]),
        "managers": managers,
        "tables": _said(module, [NFT, "list", "tables"]).replace("table ", "").splitlines(),
        "published": published(_said(module, [NFT, "list", "ruleset"])),
        "ssh_ports": sorted(
            set(map(int, re.findall(r"^port (\d+)$", _said(module, ["/usr/sbin/sshd", "-T"]), re.M)))
        ),
        "dhcp_ports": DHCP_PORTS,
        "session": asdict(session) if session else None,
        "listeners": listeners.listeners(
            reachable(_said(module, listeners.SHOW), range(int(first), int(last) + 1)),
            {"tcp": PORTS, "udp": PORTS},
        ),
    }
    module.exit_json(changed=False, ansible_facts={"farrier_firewall": facts})


def _said(module: AnsibleModule, command: list[str]) -> str:
    """Return what a command prints, "" if it fails, or if a fresh host does not have it yet."""
    if command[0] == NFT and not Path(NFT).exists():
        return ""
    code, said, _ = module.run_command(command)
    return said if code == 0 else ""


if __name__ == "__main__":
    main()
