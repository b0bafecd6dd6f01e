"""Authorities that do not give to everyone: one asks whose account it is, one was asked too often."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from edges import DOMAIN, DOMAINS, SCENARIO, Edge, site
from testinfra.host import Host

from tests.harness.outside import Outside

BOUND = "https://acme.lab.test:14001/dir"
LIMITED = "https://acme.lab.test:14002/dir"
KEYS = json.loads((SCENARIO / "authorities/bound.json").read_text())["pebble"]["externalAccountMACKeys"]
((KID, KEY),) = KEYS.items()
WRONG_KEY = "YW5vdGhlciBrZXk"
ADVICE = "Set certbot_eab_kid and certbot_eab_hmac_key"


def serials(edges: dict[str, Edge]) -> dict[str, int]:
    """The serial number of the certificate that each edge shows."""
    return {name: edge.certificate().serial_number for name, edge in edges.items()}


def orders(judge: Host) -> int:
    """How many certificates the authority that was asked too often has been asked for."""
    said = judge.check_output("journalctl --sync && journalctl --unit acme-limited.service --output cat")
    return said.count('"POST /order-plz ')


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Server requires external account binding"),
        (
            {"certbot_eab_kid": KID, "certbot_eab_hmac_key": WRONG_KEY},
            "error:unauthorized :: The client lacks sufficient authorization :: external account binding",
        ),
    ],
    ids=["no key", "wrong key"],
)
def test_an_account_without_its_key_is_refused(
    edges: dict[str, Edge], given: dict[str, str], words: str
) -> None:
    """In the authority's words or those that certbot has for them, with the variables that are to be set."""
    before = serials(edges)
    done = site("nginx,certbot", certbot_directory_url=BOUND, **given)
    assert done.failed
    for text in ("app observatory:", BOUND, words, ADVICE, "The sites go on with what they have"):
        assert done.output.count(text) >= len(edges), done.output
    assert WRONG_KEY not in done.output
    assert serials(edges) == before
    for edge in edges.values():
        assert edge.outside.https(DOMAIN, "/version").status == 200


def test_an_account_is_bound_by_its_key(
    edges: dict[str, Edge], judge: Host, tmp_path: Path, for_a_while: None
) -> None:
    """Once: afterwards the account is enough, and the key is nowhere on the hosts."""
    done = site("nginx,certbot", certbot_directory_url=BOUND, certbot_eab_kid=KID, certbot_eab_hmac_key=KEY)
    assert not done.failed, done.output
    assert KEY not in done.output
    root = tmp_path / "root.pem"
    root.write_text(
        judge.check_output("curl --silent --cacert /etc/pebble/api.pem https://localhost:15001/roots/0")
    )
    for edge in edges.values():
        assert edge.names() == sorted(DOMAINS)
        assert Outside(edge.address, root).https(DOMAIN, "/version").status == 200
        # A pattern that is not the key itself: sudo logs it.
        found = edge.host.run(f"grep -rl '[{KEY[0]}]{KEY[1:]}' /etc /tmp /var/lib/letsencrypt /var/log")
        assert found.stdout == ""
    done = site("nginx,certbot", certbot_directory_url=BOUND)
    assert done.output.count("changed=0") == len(edges), done.output


def test_an_authority_that_was_asked_too_often_is_asked_once(edges: dict[str, Edge], judge: Host) -> None:
    """Each request more makes the wait longer; the operator reads how long it is."""
    before, asked = serials(edges), orders(judge)
    done = site("nginx,certbot", certbot_directory_url=LIMITED)
    assert done.failed
    for text in (
        "app observatory:",
        LIMITED,
        "error:rateLimited",
        "too many certificates (5) already issued for this exact set of identifiers",
        "Wait as long as it says (Retry-After: 3600) before the next run",
        "The sites go on with what they have",
    ):
        assert done.output.count(text) >= len(edges), done.output
    assert orders(judge) == asked + len(edges)
    assert serials(edges) == before
    for edge in edges.values():
        assert edge.outside.https(DOMAIN, "/version").status == 200
    # Where the certificate came from, nothing has to be made good.
    done = site("nginx,certbot")
    assert done.output.count("changed=0") == len(edges), done.output
