"""The server goes by what its version has, and nobody who gets in today is shut out."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils import ssh_server

DROP_IN = "/etc/ssh/sshd_config.d/00-farrier.conf"
KEY = {"path": "/etc/ssh/ssh_host_ed25519_key", "type": "ED25519", "bits": 256}
FACTS: dict[str, Any] = {
    "error": "",
    "settings": {"port": "22 2222", "authenticationmethods": "any"},
    "set_by": {},
    "set_before": {},
    "is_socket_activated": False,
    "host_keys": [
        KEY,
        {"path": "/etc/ssh/ssh_host_ecdsa_key", "type": "ECDSA", "bits": 256},
        {"path": "/etc/ssh/ssh_host_rsa_key", "type": "RSA", "bits": 2048},
    ],
    "supported": {
        "kex": ["curve25519-sha256", "ecdh-sha2-nistp256", "sntrup761x25519-sha512@openssh.com"],
        "cipher": ["3des-cbc", "aes256-gcm@openssh.com"],
        "mac": ["hmac-sha1", "hmac-sha2-256-etm@openssh.com"],
    },
    "session": {"user": "ann", "started": 1.0, "address": "192.0.2.7", "port": 2222},
    "has_key": True,
}


def wanted(keyboard_interactive: bool = False, **further: str) -> list[tuple[str, str]]:
    """Return the settings for the host."""
    return ssh_server.settings(
        FACTS, keyboard_interactive=keyboard_interactive, tcp_forwarding="local", further=further
    )


def test_algorithms_are_the_good_ones_that_the_version_has() -> None:
    """In the kit's order, and of host keys those that are strong."""
    assert dict(wanted())["KexAlgorithms"] == "sntrup761x25519-sha512@openssh.com,curve25519-sha256"
    assert dict(wanted())["Ciphers"] == "aes256-gcm@openssh.com"
    assert dict(wanted())["MACs"] == "hmac-sha2-256-etm@openssh.com"
    assert [value for keyword, value in wanted() if keyword == "HostKey"] == [KEY["path"]]


def test_the_operator_decides() -> None:
    """A second factor asks, and other values win."""
    assert dict(wanted())["KbdInteractiveAuthentication"] == "no"
    assert dict(wanted(keyboard_interactive=True))["KbdInteractiveAuthentication"] == "yes"
    assert dict(wanted(MaxAuthTries="6"))["MaxAuthTries"] == "6"
    assert dict(wanted(AllowUsers="ann"))["AllowUsers"] == "ann"


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"error": "line 3: Bad option"}, "sshd refuses its configuration: line 3: Bad option"),
        ({"is_socket_activated": True}, "systemctl disable --now ssh.socket"),
        ({"set_before": None}, "Include /etc/ssh/sshd_config.d"),
        ({"set_before": {"macs": "/etc/ssh/sshd_config:1"}}, "/etc/ssh/sshd_config:1 sets MACs before"),
        ({"has_key": False}, "ann, as whom Ansible logs in, has no key"),
        ({"host_keys": FACTS["host_keys"][1:]}, "ssh-keygen -A"),
        ({"settings": {"port": "22"}}, "port 2222, which sshd will not listen on"),
        (
            {"settings": {"port": "2222", "authenticationmethods": "publickey,keyboard-interactive"}},
            "ssh_keyboard_interactive: true",
        ),
    ],
)
def test_what_would_shut_somebody_out_is_told(facts: dict[str, Any], told: str) -> None:
    """One problem, with its fix."""
    [problem] = ssh_server.problems({**FACTS, **facts}, wanted(), DROP_IN)
    assert told in problem


def test_a_usual_host_has_no_problem() -> None:
    """Nor has one on which Ansible does not come by SSH."""
    assert list(ssh_server.problems(FACTS, wanted(), DROP_IN)) == []
    assert list(ssh_server.problems({**FACTS, "session": None}, wanted(), DROP_IN)) == []


def test_differences_name_what_says_otherwise() -> None:
    """Values that mean the same are none, nor is what `sshd -T` does not print."""
    settings = {keyword.lower(): value for keyword, value in wanted() if keyword != "DebianBanner"}
    settings["permitrootlogin"] = "without-password"
    facts = {**FACTS, "settings": settings}
    assert ssh_server.differences(facts, wanted()) == []
    facts["settings"] = settings | {"x11forwarding": "yes"}
    facts["set_by"] = {"x11forwarding": "/etc/ssh/sshd_config:90"}
    assert ssh_server.differences(facts, wanted()) == [
        "X11Forwarding is yes, not no, by /etc/ssh/sshd_config:90"
    ]
