"""When a new certificate is asked for: authorities count the requests, so never without a reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.edge import lineage

from tests.unit.certificates import ACCOUNT, HOOK, SERVER, MakeLineage

DOMAINS = ["one.example", "www.one.example"]


def reason(configuration: Path, **other: object) -> str:
    """Return why the certificate `one` is not the wanted one."""
    wanted = {
        "domains": DOMAINS,
        "server": SERVER,
        "accounts": {ACCOUNT},
        "authenticator": "webroot",
        "now": datetime.now(UTC),
    }
    return lineage.why_not(lineage.read(configuration, "one"), **wanted | other)


def test_what_is_as_wanted_needs_none(make_lineage: MakeLineage) -> None:
    """The order of the names does not matter."""
    configuration = make_lineage("one", DOMAINS)
    assert reason(configuration) == ""
    assert reason(configuration, domains=DOMAINS[::-1]) == ""


def test_what_is_not_there_is_needed(tmp_path: Path) -> None:
    """A host on which certbot never ran has no directory either."""
    assert reason(tmp_path / "none") == "there is no certificate yet"


def test_what_certbot_could_not_renew_is_not_there(make_lineage: MakeLineage) -> None:
    """A certificate without its renewal settings would end one day, unseen."""
    configuration = make_lineage("one", DOMAINS)
    (configuration / "renewal/one.conf").unlink()
    assert reason(configuration) == "there is no certificate yet"


@pytest.mark.parametrize(
    ("domains", "expected"),
    [
        ([*DOMAINS, "new.example"], "new.example was added"),
        (DOMAINS[:1], "www.one.example was dropped"),
        (["one.example", "new.example"], "new.example was added, www.one.example was dropped"),
    ],
)
def test_the_set_of_names_is_the_identity(
    make_lineage: MakeLineage, domains: list[str], expected: str
) -> None:
    """One name more or less is another certificate."""
    assert reason(make_lineage("one", DOMAINS), domains=domains) == expected


def test_another_authority_is_another_certificate(make_lineage: MakeLineage) -> None:
    """Who goes from the staging authority to the real one must not keep the staging certificate."""
    configuration = make_lineage("one", DOMAINS, server="https://staging.example/directory")
    assert reason(configuration) == "the certificate came from https://staging.example/directory"


def test_an_account_that_is_gone_cannot_renew(make_lineage: MakeLineage) -> None:
    """certbot would say so in its log, every twelve hours."""
    assert "account is gone" in reason(make_lineage("one", DOMAINS), accounts={"another"})


def test_another_kind_of_challenge_is_another_certificate(make_lineage: MakeLineage) -> None:
    """Else it would be renewed by a plugin that is there no more, some months later."""
    configuration = make_lineage("one", DOMAINS, authenticator="dns-rfc2136")
    assert reason(configuration) == "its challenges are answered by dns-rfc2136, not by webroot"
    assert reason(configuration, authenticator="dns-rfc2136") == ""


def test_an_expired_one_is_replaced_and_no_other(make_lineage: MakeLineage) -> None:
    """Renewal in good time is the timer's business; a host that was off for months has missed it."""
    configuration = make_lineage("one", DOMAINS, days=10)
    assert reason(configuration, now=datetime.now(UTC) + timedelta(days=9)) == ""
    assert "expired on" in reason(configuration, now=datetime.now(UTC) + timedelta(days=11))


def test_only_ours_are_left_over(make_lineage: MakeLineage) -> None:
    """The operator's own certificates bear another hook, or none."""
    configuration = make_lineage("one", DOMAINS)
    make_lineage("two", ["two.example"])
    make_lineage("mail", ["mail.example"], hook="systemctl reload postfix")
    found = lineage.left_over(configuration, {"one"}, HOOK)
    assert [renewal.name for renewal in found] == ["two.conf"]


def test_what_is_retired_comes_back_as_it_was(make_lineage: MakeLineage) -> None:
    """certbot renews what is in *.conf; the certificate and its key stay."""
    configuration = make_lineage("one", DOMAINS)
    renewal = configuration / "renewal/one.conf"
    lineage.retire(renewal)
    assert list(renewal.parent.glob("*.conf")) == []
    aside = lineage.retired(configuration, "one")
    assert aside
    lineage.revive(aside)
    assert reason(configuration) == ""
    assert lineage.retired(configuration, "one") is None
