"""Who would be shut out is seen; who listens for itself, or for an answer, is not."""

from __future__ import annotations

import pytest
from ansible_collections.farrier.kit.plugins.modules.firewall_facts import is_enabled, published, reachable

EPHEMERAL = range(32768, 61000)


@pytest.mark.parametrize(
    ("line", "is_seen"),
    [
        ('tcp LISTEN 0 5 0.0.0.0:9000 0.0.0.0:* users:(("python3",pid=7,fd=3))', True),
        ('tcp LISTEN 0 5 [::]:9000 [::]:* users:(("python3",pid=7,fd=3))', True),
        ('tcp LISTEN 0 5 *:9000 *:* users:(("java",pid=7,fd=3))', True),
        ('tcp LISTEN 0 5 127.0.0.1:5432 0.0.0.0:* users:(("postgres",pid=7,fd=3))', False),
        ('tcp LISTEN 0 5 [::1]:5432 [::]:* users:(("postgres",pid=7,fd=3))', False),
        ('tcp LISTEN 0 5 [::ffff:127.0.0.1]:25 *:* users:(("java",pid=7,fd=3))', False),
        ('udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=7,fd=3))', False),
        ('udp UNCONN 0 0 0.0.0.0:1194 0.0.0.0:* users:(("openvpn",pid=7,fd=3))', True),
        ('udp UNCONN 0 0 0.0.0.0:41234 0.0.0.0:* users:(("unbound",pid=7,fd=3))', False),
        # Of the kernel: WireGuard.
        ("udp UNCONN 0 0 0.0.0.0:51820 0.0.0.0:*", True),
    ],
)
def test_what_others_reach_is_seen(line: str, is_seen: bool) -> None:
    """By its address, and by whether it asks or answers."""
    assert bool(reachable(line, EPHEMERAL)) is is_seen


def test_ports_that_are_passed_on_to_containers_are_seen() -> None:
    """As Docker and podman write them."""
    ruleset = """
        table ip nat {
            chain DOCKER {
                iifname != "docker0" tcp dport 8080 counter packets 0 bytes 0 dnat to 172.17.0.2:80
            }
        }
        table inet netavark {
            chain nv_abc { ip daddr 10.0.0.1 udp dport 53 dnat ip to 10.88.0.2:53 }
        }
        table inet farrier { chain input { tcp dport 22 accept } }
    """
    assert published(ruleset) == [{"port": 53, "protocol": "udp"}, {"port": 8080, "protocol": "tcp"}]


def test_ufw_is_on_if_its_configuration_says_so() -> None:
    """Its unit is active in any case."""
    assert is_enabled("# x\nENABLED=yes\n")
    assert not is_enabled("ENABLED=no\n#ENABLED=yes\n")
