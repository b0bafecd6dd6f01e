"""Nobody is shut out: neither what is in use, nor the operator."""

from __future__ import annotations

import time

import pytest
from conftest import ADDRESSES, INVENTORY, guard, side_by_side
from testinfra.host import Host

from tests.harness.connections import hang_up
from tests.harness.deploys import Playbook

RUNS_LAST = True
DROP_IN = "/etc/ssh/sshd_config.d/00-farrier.conf"
RULES = "/etc/farrier/firewall.nft"
FORGET = f"systemctl stop farrier-firewall && rm {RULES}"
SHUT_OUT = {"firewall_first_statements": ["tcp dport 22 ct state new drop"], "guard_seconds": 30}
BACK_SECONDS = 120.0


def test_a_first_run_stops_before_it_shuts_out_what_is_in_use(edge: Host, database: Host) -> None:
    """A listener that nobody explains, the address of Ansible, a server that reads something else first."""
    edge.check_output(FORGET)
    database.check_output("sed -i '1i PasswordAuthentication yes' /etc/ssh/sshd_config")
    of_the_firewall, of_the_server = side_by_side(
        lambda: guard("--limit=guard12", firewall_close=[], firewall_ssh_from=["192.0.2.0/24"]),
        lambda: guard("--limit=guard13"),
    )
    database.check_output("sed -i 1d /etc/ssh/sshd_config")
    assert of_the_firewall.failed
    assert "python3 (legacy.service) listens on tcp port 9000" in of_the_firewall.output
    assert "firewall_allow: {port: 9000, protocol: tcp, comment: python3}" in of_the_firewall.output
    assert "Ansible comes from 10.77.77.1, which firewall_ssh_from leaves out" in of_the_firewall.output
    assert edge.run("nft list table inet farrier").failed
    assert of_the_server.failed
    assert "/etc/ssh/sshd_config:1 sets PasswordAuthentication before" in of_the_server.output


def test_a_server_that_refuses_the_operator_goes_back(edge: Host) -> None:
    """sshd lets in only somebody else, until the host takes that back."""
    shut_out = guard("--limit=guard12", ssh_settings={"AllowUsers": "somebody-else"}, guard_seconds=15)
    assert shut_out.failed
    assert "guard12 let no new connection in" in shut_out.output
    assert shut_out.seconds < BACK_SECONDS
    hang_up("guard12")
    assert "allowusers" not in edge.check_output("sshd -T")
    assert f"Put back: {DROP_IN}" in edge.check_output("journalctl --boot --unit=farrier-guard --output=cat")


def rules(host: Host) -> tuple[str, str]:
    """What a host has of the table on disk and in the kernel; nothing, before a first run."""
    return host.run(f"cat {RULES}").stdout, host.run("nft --stateless --terse list table inet farrier").stdout


def test_hosts_take_back_what_shuts_the_operator_out(
    edge: Host, database: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the run that waits for it, which says so, and when the controller has died in between.

    One host goes back to the rules that it had, the other one to none.
    Without mitogen, ssh keeps a connection open that would let the operator in, whatever the firewall says.
    """
    monkeypatch.setenv("FARRIER_STRATEGY", "linear")
    database.check_output(f"test -e {RULES}")
    before = rules(edge), rules(database)

    def killed_in_between() -> None:
        with Playbook(INVENTORY, "site", SHUT_OUT, ["--tags=guard", "--limit=guard13"]) as killed:
            killed.wait_until_it_says("guard : Connect again")
            killed.kill()

    began = time.monotonic()
    shut_out, _ = side_by_side(lambda: guard("--limit=guard12", **SHUT_OUT), killed_in_between)
    assert shut_out.failed
    assert "guard12 let no new connection in" in shut_out.output
    assert shut_out.seconds < BACK_SECONDS
    for name in ("guard12", "guard13"):
        hang_up(name)
    while database.run("test ! -e /var/lib/farrier-guard/pending").failed:
        assert time.monotonic() - began < BACK_SECONDS
    assert before == (rules(edge), rules(database))
    for host in (edge, database):
        assert f"Put back: {RULES}" in host.check_output(
            "journalctl --boot --unit=farrier-guard --output=cat"
        )
    monkeypatch.undo()
    again = guard()
    assert not again.failed, again.output
    assert again.output.count("unreachable=0") == len(ADDRESSES) - 1
