#!/usr/bin/python
"""Ansible module: drain app hosts on this edge, or send them requests again."""

from __future__ import annotations

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils.edge import upstream_members

DOCUMENTATION = r"""
module: nginx_upstream_member
short_description: Drain app hosts on this edge, or send them requests again
description:
  - Changes the nginx configuration of every app that the hosts serve, tests it and reloads nginx once for
    all of them. Records it in a directory from which later runs build the configuration.
  - Requests in progress are finished.
  - Refuses to leave an app with fewer hosts than C(min_serving_hosts). Then nothing changes for any host.
  - Without C(hosts), returns the drained hosts and changes nothing.
options:
  hosts:
    description: Names of the app hosts.
    type: list
    elements: str
  state:
    description: Whether the hosts get requests. Required with C(hosts).
    choices: [present, drained]
  min_serving_hosts:
    description: Number of other hosts that must still get requests for each app.
    type: int
    default: 1
  keep_sole_members:
    description: >-
      Keep hosts in apps that no other host serves, where requests have to wait. Otherwise such an app is a
      reason to refuse.
    type: bool
    default: false
  wait_seconds:
    description: How long to wait for open connections to drained hosts, in seconds. WebSockets stay open.
    type: int
    default: 0
  reason:
    description: Who or what drains the hosts, recorded with each.
    type: str
    default: operator
  defer_failure:
    description: Return a refusal or failure as C(problem) instead of failing.
    type: bool
    default: false
  drained_directory:
    description: Directory with one file per drained host.
    type: path
    default: /etc/nginx/drained
  configuration_directory:
    description: Directory of the apps' configuration files.
    type: path
    default: /etc/nginx/farrier/apps
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Drain the host
  farrier.kit.nginx_upstream_member:
    hosts: [app2]
    state: drained
    wait_seconds: 60
"""

RETURN = r"""
drained:
  description: Drained hosts, each with who drained it.
  returned: without hosts
  type: dict
drained_by_us:
  description: Hosts that are drained for this C(reason), now or since an interrupted run.
  returned: when the hosts were drained
  type: list
open_connections:
  description: Number of connections to the hosts that were still open at the end of the wait.
  returned: when the hosts were drained
  type: int
problem:
  description: Why the state was not changed.
  returned: on failure, with defer_failure
  type: str
"""

POLL_SECONDS = 0.2


class MemberError(Exception):
    """The hosts are where they were; the text says why."""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "hosts": {"type": "list", "elements": "str"},
            "state": {"choices": ["present", "drained"]},
            "min_serving_hosts": {"type": "int", "default": 1},
            "keep_sole_members": {"type": "bool", "default": False},
            "wait_seconds": {"type": "int", "default": 0},
            "reason": {"type": "str", "default": "operator"},
            "defer_failure": {"type": "bool", "default": False},
            "drained_directory": {"type": "path", "default": "/etc/nginx/drained"},
            "configuration_directory": {"type": "path", "default": "/etc/nginx/farrier/apps"},
        },
        required_together=[("hosts", "state")],
        supports_check_mode=True,
    )
    wanted = module.params
    files = {
        path: path.read_text() for path in sorted(Path(wanted["configuration_directory"]).glob("*.conf"))
    }
    hosts = wanted["hosts"]
    if hosts is None:
        module.exit_json(changed=False, drained=_out(module, sorted(_hosts(files))))
    is_out = wanted["state"] == "drained"
    try:
        changed = _turn(module, files, out=is_out)
    except MemberError as error:
        if wanted["defer_failure"]:
            module.exit_json(changed=False, problem=str(error))
        module.fail_json(msg=str(error))
    if not is_out or module.check_mode:
        module.exit_json(changed=changed, drained_by_us=hosts if is_out else [])
    addresses = [
        server.address
        for text in files.values()
        for server in upstream_members.servers(text)
        if server.host in hosts
    ]
    deadline = time.monotonic() + wanted["wait_seconds"]
    while (open_connections := upstream_members.open_connections(addresses)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    ours = [host for host, reason in _out(module, hosts).items() if reason == wanted["reason"]]
    module.exit_json(changed=changed, drained_by_us=ours, open_connections=open_connections)


def _hosts(files: dict[Path, str]) -> set[str]:
    return {server.host for text in files.values() for server in upstream_members.servers(text)}


def _mark(module: AnsibleModule, host: str) -> Path:
    return Path(module.params["drained_directory"]) / host


def _out(module: AnsibleModule, hosts: list[str]) -> dict[str, str]:
    """Return who took them out, of those that are out."""
    marks = [_mark(module, host) for host in hosts]
    return {mark.name: mark.read_text().strip() for mark in marks if mark.exists()}


def _write(path: Path, text: str) -> None:
    """Replace a file in one step: half a configuration would keep nginx from starting."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.chmod(path.stat().st_mode)
    temporary.replace(path)


def _turn(module: AnsibleModule, files: dict[Path, str], *, out: bool) -> bool:
    hosts = module.params["hosts"]
    known = sorted(_hosts(files))
    if unknown := [host for host in hosts if host not in known]:
        raise MemberError(
            f"No app of this edge is served by {', '.join(unknown)}. "
            f"Its app hosts are: {', '.join(known) or 'none'}."
        )
    fresh = {path: upstream_members.turned(text, hosts, out=out) for path, text in files.items()}
    fresh = {path: text for path, text in fresh.items() if text != files[path]}
    if out and module.params["keep_sole_members"]:
        fresh = {path: text for path, text in fresh.items() if _hosts({path: text}) - set(hosts)}
    for path in fresh if out else ():
        left = sum(map(upstream_members.answers, upstream_members.left_without(files[path], hosts)))
        least = module.params["min_serving_hosts"]
        if left < least:
            raise MemberError(
                f"Without {', '.join(hosts)}, {left} host(s) would serve {path.stem}, "
                f"but release_min_serving_hosts requires {least}. Nothing was changed. "
                "Undrain another one first, or lower it with -e release_min_serving_hosts=NUMBER."
            )
    marks = [_mark(module, host) for host in hosts]
    changed = bool(fresh) or any(mark.exists() != out for mark in marks)
    if module.check_mode:
        return changed
    for path, text in fresh.items():
        _write(path, text)
    # Also where a run that was cut short has written what it did not have taken up.
    if changed:
        returncode, _, stderr = module.run_command(["systemctl", "reload", "nginx.service"])
        if returncode != 0:
            for path in fresh:
                _write(path, files[path])
            raise MemberError(f"nginx rejected the change and goes on as before: {stderr.strip()}")
    for mark in marks:
        if not out:
            mark.unlink(missing_ok=True)
        elif not mark.exists():
            mark.write_text(f"{module.params['reason']}\n")
    return changed


if __name__ == "__main__":
    main()
