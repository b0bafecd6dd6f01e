"""What the tests of this scenario share: the two edges, and the host of their authority and judges."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from edges import INVENTORY, Edge, bought, pem, site
from testinfra.host import Host

from tests.harness.connections import reached


@pytest.fixture(scope="session")
def edges() -> dict[str, Edge]:
    """Both edges by name."""
    hosts = yaml.safe_load((INVENTORY / "hosts.yml").read_text())["all"]["children"]
    addresses = {name: host["ansible_host"] for name, host in hosts["lab"]["hosts"].items()}
    return {name: Edge(name, addresses[name], reached(name)) for name in hosts["edge"]["hosts"]}


@pytest.fixture(scope="session")
def edge(edges: dict[str, Edge]) -> Edge:
    """The edge that clients find first."""
    return edges["edge-a"]


@pytest.fixture(scope="session")
def judge() -> Host:
    """The host on which the authority, its DNS and the judges are."""
    return reached("judge")


@pytest.fixture
def for_a_while() -> Iterator[None]:
    """Wherever the site has its certificate from meanwhile, it is the lab's authority's again afterwards."""
    yield
    done = site("nginx,certbot")
    assert not done.failed, done.output


@pytest.fixture
def own(tmp_path: Path, for_a_while: None) -> dict[str, str]:
    """A certificate bought elsewhere."""
    key, certificate, root = bought(timedelta(days=60))
    files = {"fullchain": tmp_path / "fullchain.pem", "privkey": tmp_path / "privkey.pem"}
    files["fullchain"].write_text(pem(certificate))
    files["privkey"].write_text(pem(key))
    (tmp_path / "root.pem").write_text(pem(root))
    return {"source": "files", **{name: str(path) for name, path in files.items()}}
