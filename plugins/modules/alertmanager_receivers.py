#!/usr/bin/python
"""Ansible module: send a test message to each receiver of Alertmanager that is new or has changed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils import alertmanager_log

DOCUMENTATION = r"""
module: alertmanager_receivers
short_description: Send a test message to each receiver of Alertmanager that is new or has changed
description:
  - Starts a second Alertmanager with the configuration that is to come, lets it tell each receiver of an
    alert C(ReceiverTest), and waits for what becomes of it. The one that runs is left alone.
  - Fails if C(amtool check-config) refuses the configuration, or if a receiver does not take the message.
  - Keeps on the host which receivers have taken one.
options:
  files:
    description: The configuration C(alertmanager.yml), and the files that it refers to by relative paths.
    type: dict
    required: true
  receivers:
    description: Of each receiver by name, what changes with it. A route leads C(receiver=NAME) to it.
    type: dict
    required: true
  user:
    description: User of Alertmanager.
    type: str
    default: prometheus
  record:
    description: File with the receivers that have taken a message.
    type: path
    default: /var/lib/farrier-monitoring/receivers.json
  timeout_seconds:
    description: Time limit for each receiver to take the message.
    type: int
    default: 15
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Test the receivers
  farrier.kit.alertmanager_receivers:
    files: {alertmanager.yml: "{{ configuration }}", secrets/chat: "{{ chat_url }}"}
    receivers: {chat: "{{ chat_url | hash('sha256') }}"}
"""

RETURN = r"""
tested:
  description: Receivers that have taken a message.
  returned: always
  type: list
gone:
  description: Receivers that there are no longer.
  returned: always
  type: list
"""

START_SECONDS = 20
POLL_SECONDS = 0.1
MESSAGE = "A test: this receiver will be told of alerts."


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "dict", "required": True, "no_log": True},
            "receivers": {"type": "dict", "required": True, "no_log": True},
            "user": {"type": "str", "default": "prometheus"},
            "record": {"type": "path", "default": "/var/lib/farrier-monitoring/receivers.json"},
            "timeout_seconds": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    wanted, record = module.params["receivers"], Path(module.params["record"])
    known = json.loads(record.read_text()) if record.exists() else {}
    untested = [name for name, digest in wanted.items() if known.get(name) != digest]
    gone = sorted(set(known) - set(wanted))
    if module.check_mode or known == wanted:
        module.exit_json(changed=known != wanted, tested=[], gone=gone)
    with TemporaryDirectory(prefix="farrier-alertmanager-", dir="/run") as directory:
        for name, content in module.params["files"].items():
            path = Path(directory, name)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_text(content)
        for path in [Path(directory), *Path(directory).rglob("*")]:
            shutil.chown(path, module.params["user"])
        code, stdout, stderr = module.run_command(
            ["amtool", "check-config", "alertmanager.yml"], cwd=directory
        )
        if code != 0:
            module.fail_json(
                msg=f"Alertmanager refuses its new configuration. It goes on as before. {stdout}{stderr}"
            )
        failures = _told(directory, untested, module.params["user"], module.params["timeout_seconds"])
    if failures:
        told = "; ".join(f"{name}: {why}" for name, why in failures.items())
        module.fail_json(
            msg=f"Receivers of `monitoring_receivers` that do not take a test message: {told}. Alertmanager"
            " goes on as before. Correct the receiver or its network, or take it out, and run it again."
        )
    record.parent.mkdir(mode=0o755, exist_ok=True)
    record.touch(mode=0o600)
    record.write_text(json.dumps(wanted))
    module.exit_json(changed=True, tested=untested, gone=gone)


def _told(directory: str, names: list[str], user: str, timeout_seconds: int) -> dict[str, str]:
    """Send a message to each receiver; return why by name, of those that do not take it."""
    if not names:
        return {}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    log = Path(directory, "log")
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [
                *("runuser", "--user", user, "--", "prometheus-alertmanager"),
                *("--config.file=alertmanager.yml", f"--storage.path={directory}/data"),
                *(f"--web.listen-address={address}", "--cluster.listen-address=", "--log.level=debug"),
            ],
            cwd=directory,
            stdout=stream,
            stderr=stream,
        )
    try:
        _post(f"http://{address}/api/v2/alerts", names)
        deadline = time.monotonic() + timeout_seconds
        found = alertmanager_log.outcomes(log.read_text())
        while time.monotonic() < deadline and not all(found.is_final(name) for name in names):
            time.sleep(POLL_SECONDS)
            found = alertmanager_log.outcomes(log.read_text())
        return {name: found.failure(name) for name in names if name not in found.taken}
    except OSError as error:
        return dict.fromkeys(names, f"Alertmanager does not start: {error}. {log.read_text()[-500:]}")
    finally:
        process.terminate()
        process.wait()


def _post(url: str, names: list[str]) -> None:
    """Give Alertmanager an alert for each receiver, as soon as it listens."""
    alerts = [
        {
            "labels": {"alertname": "ReceiverTest", "receiver": name, "severity": "notice"},
            "annotations": {"summary": MESSAGE},
        }
        for name in names
    ]
    request = urllib.request.Request(url, json.dumps(alerts).encode(), {"Content-Type": "application/json"})
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()
