#!/usr/bin/python
"""Ansible module: one certificate per app from an ACME authority, by certbot."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.farrier_edge import certbot, lineage, probe, served

DOCUMENTATION = r"""
module: acme_certificates
short_description: One certificate per app from an ACME authority, by certbot
description:
  - Asks for a certificate where there is none, where its names are not the app's domains, where it came
    from another authority, and where it has expired. Renewal is left to certbot's timer.
  - Before the authority is asked, the host fetches a challenge of its own from every domain.
  - Makes sure that the web server shows what certbot has, by running C(deploy_hook) where it does not.
  - A certificate whose app is gone is kept but renewed no more; it is back in service when the app comes
    back.
  - A certificate that cannot be had does not keep the others from being had; the module fails at the end
    and says which and why.
options:
  apps:
    description: C(name) and C(domains) of each app that wants a certificate, which gets the app's name.
    type: list
    elements: dict
    required: true
  directory_url:
    description: Address of the authority's ACME directory.
    type: str
    required: true
  ca_file:
    description: >-
      Certificates on the host that the directory's own is checked against, instead of the system's.
    type: path
  email:
    description: Address that the authority may write to.
    type: str
    default: ""
  webroot:
    description: Directory whose .well-known/acme-challenge the web server answers challenges from.
    type: path
    required: true
  deploy_hook:
    description: >-
      Program that makes the web server use a new certificate, whose directory is in RENEWED_LINEAGE.
    type: path
    required: true
  self_probe:
    description: Whether the host asks itself for a challenge before it asks the authority.
    type: bool
    default: true
author: [The Farrier developers (@farrier)]
"""

EXAMPLES = r"""
- name: Every app has a certificate
  acme_certificates:
    apps: [{name: observatory, domains: [observatory.example.org]}]
    directory_url: https://acme-v02.api.letsencrypt.org/directory
    webroot: /var/www/farrier-acme
    deploy_hook: /usr/local/sbin/farrier-certificate-deployed
"""

RETURN = r"""
issued:
  description: Why a certificate was asked for, by app.
  returned: always
  type: dict
deployed:
  description: Apps whose certificate certbot had and the web server did not show.
  returned: always
  type: list
retired:
  description: Certificates that are renewed no more.
  returned: always
  type: list
revived:
  description: Certificates that had been retired and are renewed again.
  returned: always
  type: list
problems:
  description: What kept an app from its certificate, by app.
  returned: always
  type: dict
"""

CONFIGURATION = Path("/etc/letsencrypt")
ISSUE_TIMEOUT_SECONDS = 300
RELOAD_TIMEOUT_SECONDS = 10
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
        },
        supports_check_mode=True,
    )
    outcome = Outcome()
    _retire(module, outcome)
    accounts = _accounts(module)
    _work(module, outcome)
    if not module.check_mode and accounts - _accounts(module):
        _work(module, outcome)  # certificates of an account that is gone have to be had anew
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
    present = lineage.read(CONFIGURATION, app["name"])
    reason = lineage.why_not(
        present, app["domains"], wanted["directory_url"], _accounts(module), datetime.now(UTC)
    )
    if not reason:
        return
    if module.check_mode:
        outcome.issued[app["name"]] = reason
        return
    webroot = Path(wanted["webroot"])
    unreachable = (
        [probe.problem(domain, webroot) for domain in app["domains"]] if wanted["self_probe"] else []
    )
    if any(unreachable):
        raise NoCertificateError("\n".join([*filter(None, unreachable), WAY_AROUND]))
    _ask(module, app)
    outcome.issued[app["name"]] = reason


def _ask(module: AnsibleModule, app: dict[str, Any]) -> None:
    wanted = module.params
    order = certbot.Order(
        wanted["directory_url"], wanted["email"], Path(wanted["webroot"]), wanted["deploy_hook"]
    )
    command = certbot.arguments(app["name"], app["domains"], order)
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    if wanted["ca_file"]:
        environment["REQUESTS_CA_BUNDLE"] = wanted["ca_file"]
    try:
        problem = certbot.run(command, environment, ISSUE_TIMEOUT_SECONDS)
        if certbot.ACCOUNT_LOST in problem:
            certbot.forget_account(CONFIGURATION, order.server)
            problem = certbot.run(command, environment, ISSUE_TIMEOUT_SECONDS)
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
            f"the certificate is there, but the web server did not take it up:\n{hook.stdout}{hook.stderr}"
        )
    if not served.comes_to_show(domain, certificate, RELOAD_TIMEOUT_SECONDS):
        raise NoCertificateError(
            "the certificate is there, and the web server was told, but it still shows another one"
        )


def _report(problems: dict[str, str]) -> str:
    parts = [
        "Not every app has its certificate. The sites go on with what they have; the next run tries again."
    ]
    for name, problem in problems.items():
        parts.append(f"app {name}:\n" + "\n".join(f"  {line}" for line in problem.splitlines()))
    return "\n".join(parts)


if __name__ == "__main__":
    main()
