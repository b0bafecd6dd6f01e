"""The action plugin in a real run: templates, vault and variables of several hosts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.explain import shown

from tests.unit.playbooks import Play
from tests.unit.plugins.plugin_utils.inventory_schema.test_certificates import KEY, certificate, written

PLAYBOOK = """
- name: Validate the inventory
  hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: Validate the inventory against the contract
      farrier.kit.inventory_contract:

- name: Touch the hosts
  hosts: all
  gather_facts: false
  connection: local
  any_errors_fatal: true
  tasks:
    - name: Touch a host
      ansible.builtin.debug:
        msg: "{{ inventory_hostname }} is touched: {{ (apps | farrier.kit.app_defaults)[0].workers }}"
"""

GOOD = """
edge: {hosts: {web1: {ansible_host: 192.0.2.1}}}
app:
  hosts: {web1: {}, web2: {ansible_host: 192.0.2.2}}
  vars:
    site: example.org
    repository: {git: "https://git.{{ site }}/x.git", version: v1}
    apps:
      - name: observatory
        domains: ["observatory.{{ site }}"]
        source: "{{ repository }}"
        module: observatory.main:app
        env: {HOST_NAME: "{{ inventory_hostname }}", PEER: "{{ hostvars['web1'].site }}"}
"""

BAD = """
edge: {hosts: {web1: {ansible_host: 192.0.2.1}}}
app:
  hosts: {web1: {}, web2: {ansible_host: 192.0.2.2}}
  vars:
    database_port: 5432
    apps:
      - name: observatory
        domains: [Observatory.example.org]
        source: {path: "{{ missing_directory }}/app"}
        module: observatory.main
        workerz: 3
        env: {PORT: "{{ database_port }}", URL: "http://{{ nowhere }}/"}
        secrets:
          TOKEN: "{{ 'hunter2' | to_datetime }}"
          KEY: !vault |
            $ANSIBLE_VAULT;1.1;AES256
            31323334
"""


@pytest.mark.parametrize("strategy", ["", "linear"])
def test_sound_inventory_goes_on(run_playbook: Play, strategy: str) -> None:
    """Templates resolve per host, with both strategies, and the roles get every default."""
    run = run_playbook(PLAYBOOK, hosts=GOOD, FARRIER_STRATEGY=strategy)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "web2 is touched: per_core" in run.stdout


def test_variables_of_a_fleet_are_seen(run_playbook: Play) -> None:
    """Each as it is for its host, with its templates resolved and its place told."""
    fleet = """
    soak: 30
    release_soak_seconds: "{{ soak * 2 }}"
    release_error_percent_max: 1
    release_batches: [1, "{{ share }}%"]
    share: 25
"""
    run = run_playbook(PLAYBOOK, hosts=GOOD + fleet)
    assert run.returncode == 0, run.stdout + run.stderr
    broken = GOOD.replace("{ansible_host: 192.0.2.2}", "{release_min_serving_hosts: 0}") + fleet.replace(
        "share:", "part:"
    )
    run = run_playbook(PLAYBOOK, hosts=broken)
    for line in [
        "The inventory has 2 mistakes; no host was touched.",
        "group app, key release_batches[1]: cannot be resolved: 'share' is undefined",
        "at hosts.yml:18 (hosts: web1, web2)",
        "host web2, key private_address: is not set, and web2, where Ansible reaches the host, is not an IP",
    ]:
        assert line in run.stdout + run.stderr


def test_limit_does_not_bypass_the_check(run_playbook: Play) -> None:
    """A run for one host still looks at what all hosts share."""
    run = run_playbook(PLAYBOOK, "--limit", "web2", hosts=BAD)
    assert run.returncode != 0
    assert "(hosts: web1, web2)" in run.stdout + run.stderr


def test_every_mistake_is_told_and_no_host_touched(run_playbook: Play) -> None:
    """One run shows all: what cannot be resolved stands beside what is wrong, with file and line."""
    run = run_playbook(PLAYBOOK, hosts=BAD)
    output = run.stdout + run.stderr
    assert run.returncode != 0
    assert "is touched:" not in output
    for line in [
        "The inventory has 8 mistakes; no host was touched.",
        'key domains[0]: "Observatory.example.org" has uppercase letters or spaces',
        "key source.path: cannot be resolved: 'missing_directory' is undefined",
        'key module: "observatory.main" is not of the form package.module:attribute',
        "key workerz: is an unknown key",
        "fix: did you mean workers?",
        "key env.PORT: 5432 is a whole number, not text",
        "key env.URL: cannot be resolved: 'nowhere' is undefined",
        "key secrets.TOKEN: cannot be resolved",
        "key secrets.KEY: cannot be decrypted",
        "fix: pass the vault password: --ask-vault-pass or --vault-password-file FILE",
        "at hosts.yml:9 (hosts: web1, web2)",
    ]:
        assert line in output
    assert "hunter2" not in output
    assert output.count("fatal: [") == 1


def test_key_of_a_certificate_may_be_in_a_vault(run_playbook: Play, tmp_path: Path) -> None:
    """With the vault's password it is checked as any other; without it, a message says so."""
    locked = VaultLib([("default", VaultSecret(b"sesame"))]).encrypt(written(KEY))
    (tmp_path / "chain.pem").write_bytes(certificate(KEY, ["observatory.example.org"], 90))
    (tmp_path / "key.pem").write_bytes(locked)
    (tmp_path / "password").write_text("sesame")
    brings = f'{{source: files, fullchain: "{tmp_path}/chain.pem", privkey: "{tmp_path}/key.pem"}}'
    hosts = f"{GOOD.rstrip()}\n        certificate: {brings}\n"
    run = run_playbook(PLAYBOOK, "--vault-password-file", "password", hosts=hosts)
    assert run.returncode == 0, run.stdout + run.stderr
    run = run_playbook(PLAYBOOK, hosts=hosts)
    assert run.returncode != 0
    where = f"key certificate.privkey: {shown(f'{tmp_path}/key.pem', ())}"
    assert f"{where} cannot be decrypted" in run.stdout + run.stderr


def test_certificate_in_its_last_days_is_a_warning(run_playbook: Play, tmp_path: Path) -> None:
    """The run goes on, and the operator reads app, file, date and fix; once it has expired, it stops."""
    (tmp_path / "key.pem").write_bytes(written(KEY))
    brings = f'{{source: files, fullchain: "{tmp_path}/chain.pem", privkey: "{tmp_path}/key.pem"}}'
    hosts = f"{GOOD.rstrip()}\n        certificate: {brings}\n"

    def run(days: float) -> tuple[int, str]:
        (tmp_path / "chain.pem").write_bytes(certificate(KEY, ["observatory.example.org"], days))
        run = run_playbook(PLAYBOOK, hosts=hosts, ANSIBLE_STDOUT_CALLBACK="farrier.kit.farrier")
        return run.returncode, " ".join((run.stdout + run.stderr).split())

    code, output = run(2.5)
    assert code == 0, output
    where = f"app observatory, key certificate.fullchain: {shown(f'{tmp_path}/chain.pem', ())}"
    warning = rf"\[WARNING\]: {re.escape(where)} expires on \S+, in 2 day\(s\); "
    warning += r"fix: bring a new one; at \S*hosts.yml:14 \(hosts: web1, web2\)"
    assert len(re.findall(warning, output)) == 1, output
    code, output = run(-0.5)
    assert code != 0
    assert "is touched:" not in output
    assert f"{where} expired on " in output


KITS_OWN = PLAYBOOK.replace("inventory_contract:\n", "inventory_contract:\n        playbook: deploy\n")


def test_a_typo_of_the_command_line_stops_the_run(run_playbook: Play) -> None:
    """The version that was asked for would not have been deployed."""
    run = run_playbook(KITS_OWN, "-e", "verison=v2", hosts=GOOD)
    assert run.returncode != 0
    assert "-e verison" in run.stdout
    assert "did you mean version?" in run.stdout
    assert "is touched" not in run.stdout


def test_a_strange_name_of_the_command_line_is_told(run_playbook: Play) -> None:
    """It may be for another play of the same run; in somebody else's playbook nothing is said."""
    run = run_playbook(KITS_OWN, "-e", "version=v2 build_number=5 site=example.net", hosts=GOOD)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "-e build_number: is not a variable of deploy.yml" in run.stdout + run.stderr
    assert "-e site" not in run.stdout + run.stderr
    assert "build_number" not in (run := run_playbook(PLAYBOOK, "-e", "build_number=5", hosts=GOOD)).stdout
    assert run.returncode == 0
