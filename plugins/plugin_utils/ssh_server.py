"""What an SSH server is to go by, and what keeps it from that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# In the order in which they are preferred. A server takes those that its version has.
KEX = (
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
)
CIPHERS = (
    "chacha20-poly1305@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
MACS = ("hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "umac-128-etm@openssh.com")
RSA_BITS_MIN = 3072
# As `sshd -T` of some versions writes it.
_SYNONYMS = {"without-password": "prohibit-password"}


def settings(
    facts: Mapping[str, Any], *, keyboard_interactive: bool, tcp_forwarding: str, further: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Return keywords and values for sshd_config.

    Args:
        facts: What the module ssh_server_facts returns of the host.
        keyboard_interactive: Whether the server may ask, as for a second factor.
        tcp_forwarding: Value of AllowTcpForwarding.
        further: Settings of the operator, by keyword; they override others.
    """
    supported = facts["supported"]
    wanted = {
        "KexAlgorithms": ",".join(one for one in KEX if one in supported["kex"]),
        "Ciphers": ",".join(one for one in CIPHERS if one in supported["cipher"]),
        "MACs": ",".join(one for one in MACS if one in supported["mac"]),
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "yes" if keyboard_interactive else "no",
        "PermitRootLogin": "prohibit-password",
        "IgnoreUserKnownHosts": "yes",
        "KerberosOrLocalPasswd": "no",
        "LoginGraceTime": "30",
        "MaxAuthTries": "4",
        "MaxStartups": "10:30:60",
        "TCPKeepAlive": "no",
        "ClientAliveInterval": "300",
        "ClientAliveCountMax": "2",
        "AllowAgentForwarding": "no",
        "AllowStreamLocalForwarding": "no",
        "AllowTcpForwarding": tcp_forwarding,
        "GatewayPorts": "no",
        "PermitTunnel": "no",
        "X11Forwarding": "no",
        "Compression": "no",
        "DebianBanner": "no",
        "LogLevel": "VERBOSE",
    }
    lines = [*({**wanted, **further}).items()]
    return [*(("HostKey", path) for path in host_keys(facts)), *lines]


def host_keys(facts: Mapping[str, Any]) -> list[str]:
    """Return the files of the host keys that are strong enough."""
    return [
        key["path"]
        for key in facts["host_keys"]
        if key["type"] == "ED25519" or (key["type"] == "RSA" and key["bits"] >= RSA_BITS_MIN)
    ]


def problems(facts: Mapping[str, Any], wanted: list[tuple[str, str]], drop_in: str) -> Iterator[str]:
    """Yield why the settings must not be written, each with the fix.

    Args:
        facts: As of `settings`.
        wanted: What `settings` returns.
        drop_in: The file that will have them.
    """
    session, values = facts["session"], dict(wanted)
    if facts["error"]:
        yield f"sshd refuses its configuration: {facts['error']}"
        return
    if facts["is_socket_activated"]:
        yield (
            "systemd listens in the place of sshd (ssh.socket), so that `sshd -T` does not tell how to get "
            "in. Next: systemctl disable --now ssh.socket && systemctl enable --now ssh.service"
        )
    if facts["set_before"] is None:
        yield (
            f"/etc/ssh/sshd_config does not include {drop_in}. Make this its first line: "
            "Include /etc/ssh/sshd_config.d/*.conf"
        )
    for keyword in values:
        if place := (facts["set_before"] or {}).get(keyword.lower()):
            yield f"{place} sets {keyword} before {drop_in} does, and the first one counts. Remove it there"
    if not facts["has_key"]:
        yield (
            f"{session['user']}, as whom Ansible logs in, has no key on the host, and would be shut out "
            "without a password. From your machine: ssh-copy-id"
        )
    if not host_keys(facts):
        yield "the host has no key of Ed25519. Make one there: ssh-keygen -A"
    port = session["port"] if session else 0
    if port and str(port) not in facts["settings"]["port"].split():
        yield (
            f"Ansible has come to port {port}, which sshd will not listen on after a reload: `sshd -T` says "
            f"{facts['settings']['port']}. Correct `Port` in /etc/ssh, or ansible_port"
        )
    asked = facts["settings"].get("authenticationmethods", "any")
    if values["KbdInteractiveAuthentication"] == "no" and "keyboard-interactive" in asked:
        yield f"AuthenticationMethods is {asked}. Set ssh_keyboard_interactive: true"


def differences(facts: Mapping[str, Any], wanted: list[tuple[str, str]]) -> list[str]:
    """Return which settings the server does not go by, and what says otherwise."""
    if facts["error"]:
        return [str(facts["error"])]
    joined: dict[str, list[str]] = {}
    for keyword, value in wanted:
        joined.setdefault(keyword, []).append(value)
    found = []
    for keyword, values in joined.items():
        actual = str(facts["settings"].get(keyword.lower(), ""))
        # Of Debian's own keywords, `sshd -T` prints none.
        if actual and _SYNONYMS.get(actual, actual).lower() != " ".join(values).lower():
            place = facts["set_by"].get(keyword.lower(), "the default")
            found.append(f"{keyword} is {actual}, not {' '.join(values)}, by {place}")
    return found
