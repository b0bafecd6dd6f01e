"""Hosts let in what the inventory explains, and everything that has worked goes on."""

from __future__ import annotations

import subprocess
from concurrent.futures import Future
from pathlib import Path

import pytest
from conftest import ADDRESSES, ADDRESSES6, guard, open_ports, side_by_side
from testinfra.host import Host

from tests.harness.connections import SSH_CONFIG
from tests.harness.deploys import run
from tests.harness.outside import Outside

APP_PORT = 29324
DROP_IN = "/etc/ssh/sshd_config.d/00-farrier.conf"


def test_others_find_open_what_the_inventory_explains(edge: Host, database: Host) -> None:
    """And no other port, on IPv4 and IPv6, also after somebody has broken it, be it in the kernel alone.

    The app and the database answer the host that needs them. Ansible may log in as root.
    """
    edge.check_output("nft delete table inet farrier")
    database.check_output("nft add rule inet farrier input tcp dport 9000 accept")
    edge.check_output(f"rm {DROP_IN} && systemctl reload ssh")
    database.check_output(f"sed -i 's/^PasswordAuthentication.*/PasswordAuthentication yes/' {DROP_IN}")
    database.check_output("systemctl reload ssh")
    broken = side_by_side(
        lambda: open_ports(ADDRESSES["guard12"], seen_from="stranger"),
        lambda: open_ports(ADDRESSES["guard13"], seen_from="stranger"),
        lambda: open_ports(ADDRESSES6["guard12"], seen_from="stranger"),
        lambda: open_ports(ADDRESSES6["guard13"], seen_from="stranger"),
    )
    assert broken == [{22, 80, 443, 9000}, {22, 9000}] * 2
    assert_hardened(edge, database, "yes")

    again = guard(ansible_user="root")
    assert not again.failed, again.output
    assert_hardened(edge, database, "no")
    mended = side_by_side(
        lambda: open_ports(ADDRESSES["guard12"], seen_from="stranger"),
        lambda: open_ports(ADDRESSES["guard13"], seen_from="stranger"),
        lambda: open_ports(ADDRESSES6["guard12"], seen_from="stranger"),
        lambda: open_ports(ADDRESSES6["guard13"], seen_from="stranger"),
        lambda: open_ports(ADDRESSES["guard13"], seen_from="guard12"),
    )
    assert mended == [{22, 80, 443}, {22}, {22, 80, 443}, {22}, {22, 5432, 9000, APP_PORT}]


def assert_hardened(edge: Host, database: Host, passwords: str) -> None:
    """Check what the servers say of passwords."""
    for host in (edge, database):
        assert f"passwordauthentication {passwords}" in host.check_output("sshd -T").splitlines()


@pytest.mark.usefixtures("audits")
@pytest.mark.parametrize("name", ["guard12", "guard13"])
def test_ssh_audit_has_no_warning(stranger: Host, name: str) -> None:
    """On either Debian. Of a server as Debian leaves it, it warns."""
    audited = stranger.run(f"ssh-audit --skip-rate-test {ADDRESSES[name]}")
    assert audited.rc == 0, audited.stdout
    assert "[warn]" not in audited.stdout
    assert "[fail]" not in audited.stdout
    assert "[fail]" in stranger.run("ssh-audit --skip-rate-test localhost").stdout


@pytest.mark.parametrize("name", ["guard12", "guard13"])
def test_files_come_and_go_by_scp_and_sftp(name: str, tmp_path: Path) -> None:
    """As with any server, on a connection of their own."""
    (tmp_path / "there").write_text("there and back")
    for legacy in ([], ["-O"]):
        copy = ["scp", "-q", "-F", str(SSH_CONFIG), *legacy]
        subprocess.run([*copy, tmp_path / "there", f"{name}:copy"], check=True)
        subprocess.run([*copy, f"{name}:copy", tmp_path / "back"], check=True)
        assert (tmp_path / "back").read_text() == "there and back"


def test_the_app_answers_through_nginx_and_reaches_its_database() -> None:
    """From both hosts, one of which is not that of the database."""
    for _ in range(4):
        assert Outside(ADDRESSES["guard12"]).https("notes.lab.test", "/healthz").body == b"notes"


def test_what_the_operator_has_loaded_stays(edge: Host, database: Host) -> None:
    """A table beside that of the kit, which is loaded anew, and comes back when nftables flushes all."""
    for host in (edge, database):
        host.check_output("systemctl reload farrier-firewall")
        assert 'tcp dport 4444 drop comment "mine"' in host.check_output("nft list table inet operator")
        assert host.check_output("systemctl is-enabled farrier-firewall") == "enabled"
        host.check_output("nft list table inet operator > /run/operator.nft")
        host.check_output(
            "systemctl restart nftables && nft --file /run/operator.nft && systemctl start farrier-firewall"
        )
        assert "policy drop" in host.check_output("nft list table inet farrier")


def test_core_dumps_are_off_and_the_network_is_hardened(edge: Host, database: Host) -> None:
    """By what the kernel goes by, and by what a new service gets."""
    for host in (edge, database):
        assert host.check_output("sysctl --values net.ipv4.conf.default.send_redirects") == "0"
        assert host.check_output("systemd-run --quiet --pipe --wait sh -c 'ulimit -c'") == "0"


def test_status_tells_a_pending_reboot(database: Host) -> None:
    """Of a host that runs neither nginx nor has a backup, too."""
    database.check_output("touch /run/reboot-required")
    told = run(Path(__file__).resolve().parents[1] / "inventory", "status")
    database.check_output("rm /run/reboot-required")
    assert not told.failed, told.output
    assert told.output.count("has to be rebooted") == 1
    assert "guard13 has to be rebooted" in told.output


def test_lynis_finds_little(audits: list[Future[str]]) -> None:
    """The index of docs/guard.md; its warnings, and words on firewall and SSH server, are left out there."""
    left_out = {"AllowTcpForwarding", "MaxAuthTries", "MaxSessions", "Port"}
    for audit, index in zip(audits, (75, 73), strict=True):
        report = audit.result().splitlines()
        found = {key: value for key, _, value in (line.partition("=") for line in report)}
        assert int(found["hardening_index"]) >= index
        assert {"FIRE-4590", "SSH-7408"} <= set(found["tests_executed"].split("|"))
        assert {line.partition("|")[0] for line in report if "warning[]=" in line} <= {"warning[]=DBS-1828"}
        told = [line.partition("=")[2].split("|") for line in report if line.startswith("suggestion[]=")]
        assert [one for one in told if one[0].startswith("FIRE-")] == []
        assert {one[2].split()[0] for one in told if one[0].startswith("SSH-")} == left_out
