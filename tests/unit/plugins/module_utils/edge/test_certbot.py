"""What certbot is asked, and what of its many words reaches the operator."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.edge import certbot

ORDER = certbot.Order("https://acme.example/directory", "", Path("/var/www/acme"), "/usr/local/sbin/deployed")


def vars_of(order: certbot.Order) -> tuple[str, str, Path, str]:
    """Return what is always needed of an order."""
    return order.server, order.email, order.webroot, order.hook


REFUSED = """Saving debug log to /var/log/letsencrypt/letsencrypt.log
Requesting a certificate for one.example

Certbot failed to authenticate some domains. The Certificate Authority reported these problems:
  Domain: one.example
  Type:   unauthorized
  Detail: 192.0.2.1: Invalid response from http://one.example/.well-known/acme-challenge/x: 404

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.

Some challenges have failed.
Ask for help or search for solutions at https://community.letsencrypt.org.
"""
MASKED = """Saving debug log to /var/log/letsencrypt/letsencrypt.log
Requesting a certificate for one.example
An unexpected error occurred:
AttributeError: can't set attribute
Ask for help or search for solutions at https://community.letsencrypt.org.
"""
REFUSAL = "urn:ietf:params:acme:error:rejectedIdentifier :: the name is on a list"
LIMIT = "urn:ietf:params:acme:error:rateLimited :: too many certificates already issued for one.example"


def test_the_names_are_exactly_the_apps() -> None:
    """Without --renew-with-new-domains certbot asks, without --force-renewal it may keep what it has."""
    command = certbot.arguments("one", ["one.example", "www.one.example"], ORDER)
    domains = [value for word, value in pairwise(command) if word == "--domain"]
    assert domains == ["one.example", "www.one.example"]
    assert {"--non-interactive", "--renew-with-new-domains", "--force-renewal"} <= set(command)
    assert command[command.index("--cert-name") + 1] == "one"
    assert command[command.index("--deploy-hook") + 1] == "/usr/local/sbin/deployed"


def test_an_account_needs_no_address() -> None:
    """Authorities have stopped to write to theirs."""
    assert "--register-unsafely-without-email" in certbot.arguments("one", ["one.example"], ORDER)
    with_address = certbot.Order(ORDER.server, "op@example.org", ORDER.webroot, ORDER.hook)
    command = certbot.arguments("one", ["one.example"], with_address)
    assert command[command.index("--email") + 1] == "op@example.org"
    assert "--register-unsafely-without-email" not in command


def option(command: list[str], name: str) -> str:
    """Return the value of an option that is given once."""
    (value,) = [value for word, value in pairwise(command) if word == name]
    return value


def test_challenges_over_http_are_answered_from_the_webroot() -> None:
    """Whatever is known about DNS: it is chosen for each app."""
    order = certbot.Order(*vars_of(ORDER), dns=certbot.Dns("dns-rfc2136", "/etc/x.ini", ["--more"]))
    command = certbot.arguments("one", ["one.example"], order)
    assert option(command, "--authenticator") == certbot.authenticator(order, "http") == "webroot"
    assert option(command, "--webroot-path") == "/var/www/acme"
    assert not {"--dns-rfc2136-credentials", "--more", "--preferred-challenges"} & set(command)


def test_challenges_over_dns_are_answered_by_the_plugin() -> None:
    """With the option of its own for its credentials; a hook needs none."""
    order = certbot.Order(*vars_of(ORDER), dns=certbot.Dns("dns-rfc2136", "/etc/x.ini", ["--more", "30"]))
    command = certbot.arguments("one", ["*.one.example"], order, "dns")
    assert option(command, "--authenticator") == certbot.authenticator(order, "dns") == "dns-rfc2136"
    assert option(command, "--dns-rfc2136-credentials") == "/etc/x.ini"
    assert option(command, "--preferred-challenges") == "dns"
    assert option(command, "--more") == "30"
    assert "--webroot-path" not in command
    by_hook = certbot.Order(*vars_of(ORDER), dns=certbot.Dns("manual", "", ["--manual-auth-hook", "/x"]))
    command = certbot.arguments("one", ["*.one.example"], by_hook, "dns")
    assert "--manual-credentials" not in command


def test_a_profile_is_asked_for_where_there_is_one() -> None:
    """An older certbot does not know the option."""
    assert "--preferred-profile" not in certbot.arguments("one", ["one.example"], ORDER)
    order = certbot.Order(*vars_of(ORDER), profile="shortlived")
    assert option(certbot.arguments("one", ["one.example"], order), "--preferred-profile") == "shortlived"


def test_the_key_of_an_account_is_in_no_argument() -> None:
    """Everyone on the host sees arguments, and certbot writes them into its log."""
    with certbot.account_binding("", "") as binding:
        assert binding == []
    with certbot.account_binding("kid-1", "c2VjcmV0") as binding:
        name, file = binding[0], Path(binding[1])
        assert name == "--config"
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.read_text() == "eab-kid = kid-1\neab-hmac-key = c2VjcmV0\n"
    assert not file.exists()


def test_the_authoritys_report_is_what_is_said() -> None:
    """Its hint and the forum are of no use to who uses another authority."""
    assert certbot.problem(REFUSED, "") == (
        "Domain: one.example\nType:   unauthorized\n"
        "Detail: 192.0.2.1: Invalid response from http://one.example/.well-known/acme-challenge/x: 404"
    )


def test_an_answer_that_certbot_loses_is_found_in_its_log() -> None:
    """certbot 2.1 on Python 3.11 fails while it reports any error of the authority."""
    log = f"DEBUG: earlier\nacme.messages.Error: {REFUSAL}\n\nDuring handling of the above exception\n"
    assert certbot.problem(MASKED, log) == REFUSAL


def test_who_was_asked_too_often_is_not_to_be_asked_at_once() -> None:
    """Impatience makes the wait longer; not every authority says in its text how long it is."""
    log = f"HTTP 429\nRetry-After: 3600\n\nacme.messages.Error: {LIMIT}\n"
    said, advice = certbot.problem(MASKED, log).splitlines()
    assert said == LIMIT
    assert advice.startswith("Wait as long as it says (Retry-After: 3600) before the next run")
    without = certbot.problem(MASKED, f"acme.messages.Error: {LIMIT}\n")
    assert "Wait as long as it says before the next run" in without


@pytest.mark.parametrize(
    ("output", "log"),
    [
        ("Server requires external account binding. Please use --eab-kid and --eab-hmac-key.", ""),
        (MASKED, "acme.messages.Error: urn:ietf:params:acme:error:externalAccountRequired :: who are you\n"),
        (
            MASKED,
            "acme.messages.Error: urn:ietf:params:acme:error:unauthorized :: external account binding …\n",
        ),
        ("An unexpected error occurred:\nbinascii.Error: Invalid base64-encoded string", ""),
    ],
    ids=["certbot asks", "authority asks", "wrong key", "half a key"],
)
def test_an_account_that_has_to_be_bound_is_by_our_variables(output: str, log: str) -> None:
    """certbot names its own options, which the operator cannot give."""
    assert certbot.problem(output, log).splitlines()[1:] == [certbot.BIND]
    for variable in ("certbot_eab_kid", "certbot_eab_hmac_key"):
        assert variable in certbot.BIND


def test_without_an_answer_certbots_own_words_are_said() -> None:
    """The authority was not reached at all."""
    output = MASKED.replace("AttributeError: can't set attribute", "Connection to acme.example refused")
    assert certbot.problem(output, "") == "Connection to acme.example refused"
    assert certbot.problem("", "") == certbot.NO_REASON


@pytest.fixture
def fake_certbot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a certbot of ours in front of the real one, with a log of its own."""
    log = tmp_path / "letsencrypt.log"
    log.write_text("acme.messages.Error: urn:ietf:params:acme:error:old :: of an earlier run\n")
    program = tmp_path / "certbot"
    program.write_text(
        "#!/bin/sh\ncase $1 in works) exit 0 ;; unreachable) echo no connection; exit 1 ;; esac\n"
        f"echo 'acme.messages.Error: {REFUSAL}' >>{log}\nexit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(certbot, "LOG", log)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return log


def test_only_what_was_logged_meanwhile_counts(fake_certbot: Path) -> None:
    """The log goes on from run to run."""
    assert certbot.run(["certbot", "works"], os.environ, 10) == ""
    assert certbot.run(["certbot", "unreachable"], os.environ, 10) == "no connection"
    assert certbot.run(["certbot", "fails"], os.environ, 10) == REFUSAL
    fake_certbot.unlink()
    assert certbot.run(["certbot", "fails"], os.environ, 10) == REFUSAL


def test_a_lost_account_is_put_aside(tmp_path: Path) -> None:
    """Also when one was before."""
    place = certbot.account(tmp_path, "https://acme.example:14000/dir")
    assert place == tmp_path / "accounts/acme.example:14000/dir"
    for number in ("1", "2"):
        (place / number).mkdir(parents=True)
        certbot.forget_account(tmp_path, "https://acme.example:14000/dir")
        assert not place.exists()
        assert [path.name for path in place.with_name("dir.lost").iterdir()] == [number]
