#!/usr/bin/python
"""Ansible module: obtain one certificate per app from an ACME authority with certbot."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.farrier.kit.plugins.module_utils.edge import (
    certbot,
    lineage,
    probe,
    served,
    wildcards,
)

DOCUMENTATION = r"""
module: acme_certificates
short_description: Obtain one certificate per app from an ACME authority with certbot
description:
  - Requests a certificate if there is none, if its names are not the app's domains, if it came from another
    authority or by another kind of challenge, if it has expired, or if C(replace) names the app. certbot's
    timer renews it.
  - Before the authority checks an HTTP challenge, the host fetches a challenge of its own from every
    domain.
  - Leaves out names that a wildcard of the same app covers, because authorities refuse to certify both.
  - Makes sure that the web server serves the certificate that certbot has, and runs C(deploy_hook) if it
    does not.
  - Keeps the certificate of a removed app without renewing it. If the app comes back, the certificate is
    used again.
  - If one certificate cannot be obtained, goes on with the others, then fails and lists what failed and
    why.
options:
  apps:
    description: C(name), C(domains) and C(certificate) of each app. The certificate is named after the app.
    type: list
    elements: dict
    required: true
  directory_url:
    description: Address of the authority's ACME directory.
    type: str
    required: true
  ca_file:
    description: >-
      File on the host with the root certificates to verify the directory's TLS certificate, instead of the
      system's.
    type: path
  email:
    description: Address at which the authority may contact you.
    type: str
    default: ""
  webroot:
    description: Directory from whose .well-known/acme-challenge the web server answers challenges.
    type: path
    required: true
  deploy_hook:
    description: >-
      Program that makes the web server load a new certificate. RENEWED_LINEAGE is the certificate's
      directory.
    type: path
    required: true
  self_probe:
    description: Whether the host fetches a challenge from itself before it asks the authority.
    type: bool
    default: true
  preferred_profile:
    description: Certificate profile to request if the authority offers it. Needs certbot 4.
    type: str
    default: ""
  eab_kid:
    description: Key ID for external account binding.
    type: str
    default: ""
  eab_hmac_key:
    description: HMAC key for external account binding, in base64url.
    type: str
    default: ""
  dns_authenticator:
    description: certbot plugin for apps whose C(certificate.challenge) is C(dns).
    type: str
    default: ""
  dns_credentials:
    description: File on the host with the plugin's settings.
    type: str
    default: ""
  dns_arguments:
    description: Further certbot arguments for these apps.
    type: list
    elements: str
    default: []
  replace:
    description: Names of apps whose valid certificate is replaced.
    type: list
    elements: str
    default: []
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Obtain the certificate of each app
  farrier.kit.acme_certificates:
    apps: [{name: observatory, domains: [observatory.example.org], certificate: {challenge: http}}]
    directory_url: https://acme-v02.api.letsencrypt.org/directory
    webroot: /var/www/farrier-acme
    deploy_hook: /usr/local/sbin/farrier-certificate-deployed
"""

RETURN = r"""
issued:
  description: Why each certificate was requested, by app.
  returned: always
  type: dict
deployed:
  description: Apps whose certificate the web server did not serve yet.
  returned: always
  type: list
retired:
  description: Certificates that are no longer renewed.
  returned: always
  type: list
revived:
  description: Certificates that are renewed again.
  returned: always
  type: list
problems:
  description: Why an app did not get its certificate, by app.
  returned: always
  type: dict
"""

CONFIGURATION = Path("/etc/letsencrypt")
ISSUE_TIMEOUT_SECONDS = 300
RELOAD_TIMEOUT_SECONDS = 10
REPLACED = "was asked for with certbot_force_renewal"
WAY_AROUND = "Where only the host itself cannot reach its names, set certbot_self_probe: false."


@dataclass
class Outcome:
    """What was done, or in check mode would be."""

    issued: dict[str, str] = field(default_factory=dict)
    deployed: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    revived: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


class NoCertificateError(Exception):
    """An app did not get its certificate; the text says why."""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "apps": {"type": "list", "elements": "dict", "required": True},
            "directory_url": {"type": "str", "required": True},
            "ca_file": {"type": "path"},
            "email": {"type": "str", "default": ""},
            "webroot": {"type": "path", "required": True},
            "deploy_hook": {"type": "path", "required": True},
            "self_probe": {"type": "bool", "default": True},
            "preferred_profile": {"type": "str", "default": ""},
            "eab_kid": {"type": "str", "default": ""},
            "eab_hmac_key": {"type": "str", "default": "", "no_log": True},
            "dns_authenticator": {"type": "str", "default": ""},
            "dns_credentials": {"type": "str", "default": ""},
            "dns_arguments": {"type": "list", "elements": "str", "default": []},
            "replace": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    for name in sorted(set(module.params["replace"]) - {app["name"] for app in module.params["apps"]}):
        module.warn(
            f"certbot_force_renewal names {name}, and no app of this name has an ACME certificate here"
        )
    outcome = Outcome()
    _retire(module, outcome)
    accounts = _accounts(module)
    _work(module, outcome)
    if not module.check_mode and accounts - _accounts(module):
        _work(module, outcome)  # certificates of an account that is gone must be obtained again
    result: dict[str, Any] = vars(outcome)
    changed = bool(outcome.issued or outcome.deployed or outcome.retired or outcome.revived)
    if outcome.problems:
        module.fail_json(msg=_report(outcome.problems), changed=changed, **result)
    module.exit_json(changed=changed, **result)


def _accounts(module: AnsibleModule) -> set[str]:
    return {path.name for path in certbot.account(CONFIGURATION, module.params["directory_url"]).glob("*")}


def _work(module: AnsibleModule, outcome: Outcome) -> None:
    outcome.problems.clear()
    for app in module.params["apps"]:
        try:
            _issue(module, app, outcome)
            _deploy(module, app, outcome)
        except NoCertificateError as error:
            outcome.problems[app["name"]] = str(error)


def _retire(module: AnsibleModule, outcome: Outcome) -> None:
    names = {app["name"] for app in module.params["apps"]}
    for renewal in lineage.left_over(CONFIGURATION, names, module.params["deploy_hook"]):
        outcome.retired.append(renewal.stem)
        if not module.check_mode:
            lineage.retire(renewal)


def _issue(module: AnsibleModule, app: dict[str, Any], outcome: Outcome) -> None:
    wanted = module.params
    retired = lineage.retired(CONFIGURATION, app["name"])
    if retired:
        outcome.revived.append(app["name"])
        if module.check_mode:
            return
        lineage.revive(retired)
    order, challenge = _order(module), app["certificate"]["challenge"]
    reason = lineage.why_not(
        lineage.read(CONFIGURATION, app["name"]),
        wildcards.necessary(app["domains"]),
        order.server,
        _accounts(module),
        certbot.authenticator(order, challenge),
        datetime.now(UTC),
    )
    if not reason and app["name"] in wanted["replace"] and app["name"] not in outcome.issued:
        reason = REPLACED
    if not reason:
        return
    if module.check_mode:
        outcome.issued[app["name"]] = reason
        return
    if challenge == "http" and wanted["self_probe"]:
        unreachable = [probe.problem(domain, order.webroot) for domain in app["domains"]]
        if any(unreachable):
            raise NoCertificateError("\n".join([*filter(None, unreachable), WAY_AROUND]))
    _ask(module, app, order)
    outcome.issued[app["name"]] = reason


def _order(module: AnsibleModule) -> certbot.Order:
    wanted = module.params
    dns = certbot.Dns(wanted["dns_authenticator"], wanted["dns_credentials"], wanted["dns_arguments"])
    webroot = Path(wanted["webroot"])
    return certbot.Order(
        wanted["directory_url"],
        wanted["email"],
        webroot,
        wanted["deploy_hook"],
        wanted["preferred_profile"],
        dns,
    )


def _ask(module: AnsibleModule, app: dict[str, Any], order: certbot.Order) -> None:
    wanted = module.params
    domains = wildcards.necessary(app["domains"])
    command = certbot.arguments(app["name"], domains, order, app["certificate"]["challenge"])
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    if wanted["ca_file"]:
        environment["REQUESTS_CA_BUNDLE"] = wanted["ca_file"]
    try:
        with certbot.account_binding(wanted["eab_kid"], wanted["eab_hmac_key"]) as binding:
            problem = certbot.run([*command, *binding], environment, ISSUE_TIMEOUT_SECONDS)
            if certbot.ACCOUNT_LOST in problem:
                certbot.forget_account(CONFIGURATION, order.server)
                problem = certbot.run([*command, *binding], environment, ISSUE_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        problem = f"no answer within {ISSUE_TIMEOUT_SECONDS} s"
    if problem:
        raise NoCertificateError(f"{order.server}:\n{problem}")


def _deploy(module: AnsibleModule, app: dict[str, Any], outcome: Outcome) -> None:
    name, domain = app["name"], app["domains"][0]
    directory = CONFIGURATION / "live" / name
    certificate = directory / "cert.pem"
    if name in outcome.issued:
        if module.check_mode or served.comes_to_show(domain, certificate, RELOAD_TIMEOUT_SECONDS):
            return
    elif served.shows(domain, certificate):
        return
    outcome.deployed.append(name)
    if module.check_mode:
        return
    environment = {
        **os.environ,
        "RENEWED_LINEAGE": str(directory),
        "RENEWED_DOMAINS": " ".join(app["domains"]),
    }
    hook = subprocess.run(
        [module.params["deploy_hook"]], capture_output=True, text=True, env=environment, check=False
    )
    if hook.returncode != 0:
        raise NoCertificateError(
            f"the certificate was issued, but nginx did not load it:\n{hook.stdout}{hook.stderr}"
        )
    if not served.comes_to_show(domain, certificate, RELOAD_TIMEOUT_SECONDS):
        raise NoCertificateError(
            "the certificate was issued and nginx was reloaded, but it still serves another one"
        )


def _report(problems: dict[str, str]) -> str:
    parts = [
        "Some apps did not get a certificate. The sites go on with what they have; the next run tries again."
    ]
    for name, problem in problems.items():
        parts.append(f"app {name}:\n" + "\n".join(f"  {line}" for line in problem.splitlines()))
    return "\n".join(parts)


if __name__ == "__main__":
    main()
