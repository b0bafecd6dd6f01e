#!/usr/bin/python
"""Ansible module: install the certificate of each app where the web server reads it."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils.edge import lineage, managed_certificates

DOCUMENTATION = r"""
module: tls_certificates
short_description: Install the certificate of each app
description:
  - Points C(DIRECTORY/NAME) of each app to its C(fullchain.pem) and C(privkey.pem).
  - For an app that waits for an ACME authority, that is a self-signed placeholder until there is a
    certificate.
  - Keeps all other certificates in C(DIRECTORY/.own), which only root can read. Removes those that are no
    longer in use.
  - Creates self-signed certificates on the host, and again when they are about to expire or the domains
    have changed.
  - Keeps C(pending) on the host until nginx has loaded the certificates, as M(nginx_configuration) does.
  - Roles use the action plugin of the same name. It reads the files on the controller and turns the apps
    into these options.
options:
  directory:
    description: Directory that the web server reads. If missing, it is created with mode 0700.
    type: path
    required: true
  chains:
    description: Certificate chains in PEM by app name, the app's own certificate first.
    type: dict
    default: {}
  privkeys:
    description: Private keys in PEM by app name.
    type: dict
    default: {}
  self_signed:
    description: Domains by app name, for apps with a self-signed certificate.
    type: dict
    default: {}
  placeholders:
    description: Names of apps that get a placeholder if they have no certificate.
    type: list
    elements: str
    default: []
  pending:
    description: File that exists while nginx has not loaded what is on the disk.
    type: path
    required: true
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Install the certificate of each app
  farrier.kit.tls_certificates:
    directory: /etc/farrier/tls
    apps: [{name: shop, domains: [shop.example.org], certificate: {source: self_signed}}]
    pending: /run/farrier-nginx-pending
"""

RETURN = r"""
placed:
  description: Why an app has a new certificate, by app.
  returned: always
  type: dict
removed:
  description: Directories of certificates that are no longer in use.
  returned: always
  type: list
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "chains": {"type": "dict", "default": {}},
            # Of its own, and not beside each chain: what is within a list would reach the host's journal.
            "privkeys": {"type": "dict", "default": {}, "no_log": True},
            "self_signed": {"type": "dict", "default": {}},
            "placeholders": {"type": "list", "elements": "str", "default": []},
            "pending": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    directory = Path(module.params["directory"])
    placed = _placeholders(module)
    for name, chain in module.params["chains"].items():
        pair = managed_certificates.Pair(chain, module.params["privkeys"][name])
        if not managed_certificates.is_kept(directory, name, pair):
            placed[name] = "it is another one, or was changed on the host"
            _keep(module, name, pair)
    for name, domains in module.params["self_signed"].items():
        if reason := _why_made_anew(directory, name, domains):
            placed[name] = reason
            if not module.check_mode:
                _keep(module, name, _self_signed(module, name, domains))
    removed = list(managed_certificates.left_over(directory))
    if not module.check_mode:
        for path in removed:
            shutil.rmtree(path)
    module.exit_json(changed=bool(placed or removed), placed=placed, removed=[str(path) for path in removed])


def _keep(module: AnsibleModule, name: str, pair: managed_certificates.Pair) -> None:
    if not module.check_mode:
        Path(module.params["pending"]).touch()
        managed_certificates.keep(Path(module.params["directory"]), name, pair)


def _placeholders(module: AnsibleModule) -> dict[str, str]:
    directory, wanted = Path(module.params["directory"]), module.params["placeholders"]
    missing = managed_certificates.leading_nowhere(directory, wanted)
    placed = dict.fromkeys(missing, "its path led to none")
    if wanted and not managed_certificates.is_usable(
        directory / managed_certificates.PLACEHOLDER / "fullchain.pem"
    ):
        placed[managed_certificates.PLACEHOLDER] = "there is none that is good for a while"
        if not module.check_mode:
            try:
                managed_certificates.make_placeholder(directory)
            except subprocess.CalledProcessError as error:
                module.fail_json(msg=f"openssl could not make the placeholder in {directory}: {error.stderr}")
    if not module.check_mode:
        for name in missing:
            managed_certificates.link(directory, name, managed_certificates.PLACEHOLDER)
    return placed


def _self_signed(module: AnsibleModule, name: str, domains: list[str]) -> managed_certificates.Pair:
    try:
        return managed_certificates.self_signed(Path(module.params["directory"]), domains)
    except subprocess.CalledProcessError as error:
        module.fail_json(
            msg=f"app {name}: openssl could not make a certificate for {', '.join(domains)}: {error.stderr}"
        )
        raise


def _why_made_anew(directory: Path, name: str, domains: list[str]) -> str:
    current = managed_certificates.current(directory, name)
    if current is None or not managed_certificates.is_self_signed(current / "fullchain.pem"):
        return "there is none of the host's own making yet"
    return str(
        managed_certificates.why_not(*lineage.inspect(current / "fullchain.pem"), domains, datetime.now(UTC))
    )


if __name__ == "__main__":
    main()
