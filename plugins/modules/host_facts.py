#!/usr/bin/python
"""Ansible module: gather the few facts of a host that the kit's roles need."""

from __future__ import annotations

import os
import pwd
import shlex
from contextlib import suppress
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: host_facts
short_description: Gather the few facts of a host that the roles need
description:
  - Returns distribution, memory, processors, disk space and users of the host, which host has the databases
    of its apps, and whether its own PostgreSQL is a primary or a replica. M(ansible.builtin.setup) returns
    most of it too, but looks at every device first, which takes seconds.
  - Changes nothing.
options: {}
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Gather facts
  farrier.kit.host_facts:
"""

RETURN = r"""
ansible_facts:
  description: Facts under the name farrier_host.
  returned: always
  type: dict
  sample:
    farrier_host:
      distribution: debian
      version: "13"
      memory_mb: 3920
      vcpus: 2
      free_disk_mb: 31337
      homes: {root: /root}
      database: db1
      postgresql: primary
      postgresql_disk_mb: 40960
"""


DATABASE_HOST = Path("/etc/farrier/database_host")
POSTGRESQL = Path("/var/lib/postgresql")
PROMETHEUS = Path("/var/lib/prometheus/metrics2")


def os_release(text: str) -> dict[str, str]:
    """Return what /etc/os-release says by key."""
    pairs = (word.partition("=") for word in shlex.split(text, comments=True))
    return {key: value for key, _, value in pairs}


def memory_mb(meminfo: str) -> int:
    """Return the memory of a host in MB, from /proc/meminfo."""
    kilobytes = next(line.split()[1] for line in meminfo.splitlines() if line.startswith("MemTotal:"))
    return int(kilobytes) // 1024


def postgresql_role(data: Path) -> str:
    """Return "primary" or "replica", also of a server that is down; "" for one that was never started.

    A server with the file `standby.signal` is in recovery, and a promotion removes the file.
    """
    if (data / "standby.signal").exists():
        return "replica"
    return "primary" if (data / "postmaster.opts").exists() else ""


def prometheus_disk_mb(data: Path) -> int:
    """Return what Prometheus has for its data: what is free on the disk, and what it has taken already."""
    there = next(path for path in (data, *data.parents) if path.is_dir())
    disk = os.statvfs(there)
    taken = 0
    for path in there.rglob("*") if there == data else ():
        with suppress(FileNotFoundError):  # Prometheus goes on
            taken += path.lstat().st_blocks * 512
    return (disk.f_bavail * disk.f_frsize + taken) // 2**20


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    release = os_release(Path("/etc/os-release").read_text())
    root = os.statvfs("/")
    disk = os.statvfs(POSTGRESQL if POSTGRESQL.exists() else POSTGRESQL.parent)
    roles = [postgresql_role(data) for data in sorted(POSTGRESQL.glob("[0-9]*/main"))]
    facts = {
        "distribution": release.get("ID", "unknown"),
        "version": release.get("VERSION_ID", ""),
        "memory_mb": memory_mb(Path("/proc/meminfo").read_text()),
        "vcpus": os.cpu_count() or 1,
        "free_disk_mb": root.f_bavail * root.f_frsize // 2**20,
        # Whatever an inventory says: there the apps have their data.
        "database": DATABASE_HOST.read_text().strip() if DATABASE_HOST.exists() else "",
        "postgresql": next(filter(None, reversed(roles)), ""),
        "postgresql_disk_mb": disk.f_blocks * disk.f_frsize // 2**20,
        "prometheus_disk_mb": prometheus_disk_mb(PROMETHEUS),
        "homes": {user.pw_name: user.pw_dir for user in pwd.getpwall()},
    }
    module.exit_json(changed=False, ansible_facts={"farrier_host": facts})


if __name__ == "__main__":
    main()
