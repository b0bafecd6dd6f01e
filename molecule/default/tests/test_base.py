"""What every host has, seen by its effects."""

from __future__ import annotations

from testinfra.host import Host

GROUP = "app"


def test_nothing_has_failed(host: Host) -> None:
    """A host on which a unit has failed is not finished, whatever the playbook said."""
    assert host.check_output("systemctl --failed --plain --no-legend") == ""


def test_journal_survives_a_reboot(host: Host) -> None:
    """The night when a release is broken is looked into the next morning: the journal must still be there."""
    machine = host.check_output("cat /etc/machine-id")
    assert host.file(f"/var/log/journal/{machine}/system.journal").exists


def test_journal_is_bounded(host: Host) -> None:
    """A chatty app must not fill the disk."""
    assert "SystemMaxUse=1024M" in host.check_output("systemd-analyze cat-config systemd/journald.conf")


def test_security_upgrades_run(host: Host) -> None:
    """The file alone does nothing: apt's effective setting and its timer do."""
    assert 'APT::Periodic::Unattended-Upgrade "1";' in host.check_output("apt-config dump")
    assert host.service("apt-daily-upgrade.timer").is_enabled


def test_service_users_cannot_log_in(host: Host) -> None:
    """A service user with a shell or a password is a door that nobody watches."""
    for name in ("observatory", "observatory-build"):
        user = host.user(name)
        assert user.shell == "/usr/sbin/nologin"
        assert user.password in ("!", "!*", "*")


def test_only_what_is_meant_to_listens(host: Host) -> None:
    """Every open port is one that somebody has to look after."""
    listening = host.check_output("ss --no-header --listening --tcp --udp --numeric")
    ports = {int(line.split()[4].rsplit(":", 1)[1]) for line in listening.splitlines()}
    assert ports == {22, 80, 443}
