"""URLs of instances of Valkey, for the libraries that read them."""

from __future__ import annotations

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils import valkey
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import ports

SOCKET = "/run/farrier-cache/shop/valkey.sock"


@pytest.mark.parametrize(
    ("scheme", "local", "remote"),
    [
        ("redis", f"unix://{SOCKET}?db=0", "rediss"),
        ("valkey", f"unix://{SOCKET}?db=0", "valkeys"),
        ("redis+socket", f"redis+socket://{SOCKET}?virtual_host=0", "rediss"),
    ],
)
def test_urls(scheme: str, local: str, remote: str) -> None:
    """A socket needs no password. Over the network, the client verifies the certificate."""
    assert valkey.local_url(scheme, "shop") == local
    port = valkey.port("shop")
    assert valkey.remote_url(scheme, "shop", "10.0.0.9", "secret") == (
        f"{remote}://:secret@10.0.0.9:{port}/0"
        "?ssl_cert_reqs=required&ssl_ca_certs=/etc/farrier/server_key/10.0.0.9.pem"
    )
    assert valkey.remote_url(scheme, "shop", "10.0.0.9", "").startswith(f"{remote}://10.0.0.9:{port}/0?")


def test_ports_are_none_of_an_apps_own() -> None:
    """On one machine both may listen."""
    assert not {valkey.port(f"app-{n}") for n in range(500)} & {ports.derived(f"app-{n}") for n in range(500)}


def test_a_report_has_the_memory_of_each_instance_and_what_is_down() -> None:
    """By the process, since the instance lets in its app alone."""
    shown = (
        "MainPID=41\nId=valkey-server@shop.service\nActiveState=active\n\n"
        "MainPID=0\nId=valkey-server@blog.service\nActiveState=failed\n"
    )
    text, problem = valkey.report(shown, "  41 15360\n", {"shop": 128, "blog": 16})
    assert text == "Valkey of shop: 15 MB of memory, bound of its data 128 MB; Valkey of blog: failed"
    assert "valkey-server@blog.service is failed" in problem
    assert "shop" not in problem
