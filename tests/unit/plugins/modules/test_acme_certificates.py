"""The module as a whole, with an authority of ours: what happens to whom, and what the operator is told."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.edge import (
    certbot,
    managed_certificates,
    probe,
    served,
)

from tests.unit.certificates import ACCOUNT, HOOK, SERVER, MakeCertificate, MakeLineage

ROOT = Path(__file__).resolve().parents[4]
MODULE = "ansible_collections.farrier.kit.plugins.modules.acme_certificates"


class EndedError(Exception):
    """The module has said its last word."""

    def __init__(self, failed: bool, result: dict[str, Any]) -> None:
        super().__init__(result.get("msg", ""))
        self.failed = failed
        self.result = result


Run = Callable[..., EndedError]


def app(name: str, *domains: str, challenge: str = "http") -> dict[str, Any]:
    """Return an app as the module gets it."""
    return {
        "name": name,
        "domains": list(domains) or [f"{name}.example"],
        "certificate": {"source": "acme", "challenge": challenge},
    }


class Authority:
    """Stands in for certbot and the authority behind it.

    Attributes:
        asked: names of the certificates that were asked for, in order.
        commands: how they were asked for.
        answers: what it says to the next who ask; it issues when there is nothing left to say.
    """

    def __init__(self, make_lineage: MakeLineage) -> None:
        self.asked: list[str] = []
        self.commands: list[list[str]] = []
        self.answers: list[str] = []
        self._make_lineage = make_lineage

    def run(self, command: list[str], environment: dict[str, str], timeout_seconds: float) -> str:
        """Do what certbot does."""
        assert timeout_seconds > 0
        assert environment["LC_ALL"] == "C.UTF-8"
        name = command[command.index("--cert-name") + 1]
        self.asked.append(name)
        self.commands.append(command)
        authenticator = command[command.index("--authenticator") + 1]
        if self.answers and (answer := self.answers.pop(0)):
            return answer
        domains = [value for word, value in pairwise(command) if word == "--domain"]
        self._make_lineage(name, domains, authenticator=authenticator)
        return ""


@pytest.fixture
def authority(make_lineage: MakeLineage) -> Authority:
    """Return an authority that issues."""
    return Authority(make_lineage)


@pytest.fixture
def module(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module, loaded afresh, on a host whose web server shows all."""
    loaded = importlib.reload(importlib.import_module(MODULE))
    monkeypatch.setattr(loaded, "CONFIGURATION", tmp_path / "letsencrypt")
    monkeypatch.setattr(certbot, "run", authority.run)
    monkeypatch.setattr(served, "shows", lambda *_: True)
    monkeypatch.setattr(probe, "problem", lambda *_: "")
    return loaded


@pytest.fixture
def run(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the module for some apps, by name with one domain each.

    Its result has the module's warnings, too.
    """

    def run(*names: str, check_mode: bool = False, **other: Any) -> EndedError:
        class FakeModule:
            def __init__(self, **_: Any) -> None:
                self.check_mode = check_mode
                self.params = {
                    "apps": [app(name) for name in names],
                    "directory_url": SERVER,
                    "ca_file": None,
                    "email": "",
                    "webroot": "/nonexistent",
                    "deploy_hook": HOOK,
                    "self_probe": True,
                    "preferred_profile": "",
                    "eab_kid": "",
                    "eab_hmac_key": "",
                    "dns_authenticator": "",
                    "dns_credentials": "",
                    "dns_arguments": [],
                    "replace": [],
                } | other
                self.warnings: list[str] = []

            def warn(self, warning: str) -> None:
                self.warnings.append(warning)

            def exit_json(self, **result: Any) -> None:
                raise EndedError(False, {**result, "warnings": self.warnings})

            def fail_json(self, **result: Any) -> None:
                raise EndedError(True, result)

        monkeypatch.setattr(module, "AnsibleModule", FakeModule)
        with pytest.raises(EndedError) as ended:
            module.main()
        return ended.value

    return run


def test_a_second_run_asks_for_nothing(run: Run, authority: Authority) -> None:
    """Authorities count."""
    first = run("one", "two")
    assert first.result["changed"]
    assert authority.asked == ["one", "two"]
    second = run("one", "two")
    assert not second.result["changed"]
    assert authority.asked == ["one", "two"]


def test_check_mode_asks_nobody(run: Run, authority: Authority) -> None:
    """It says what would be asked for, and why."""
    checked = run("one", check_mode=True)
    assert checked.result["issued"] == {"one": "there is no certificate yet"}
    assert checked.result["changed"]
    assert authority.asked == []


def test_one_that_cannot_be_had_does_not_keep_the_others(run: Run, authority: Authority) -> None:
    """The operator reads the authority's words at the end; the next run asks for that one alone."""
    authority.answers = ["Detail: no such domain"]
    failed = run("one", "two")
    assert failed.failed
    assert "app one:\n  https://acme.example/directory:\n  Detail: no such domain" in str(failed)
    assert list(failed.result["issued"]) == ["two"]
    assert not run("one", "two").failed
    assert authority.asked == ["one", "two", "one"]


def test_a_name_that_leads_elsewhere_is_never_asked_for(
    run: Run, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failures count too; who knows better can switch the question off."""
    monkeypatch.setattr(probe, "problem", lambda domain, _: f"{domain} leads elsewhere.")
    failed = run("one")
    assert failed.failed
    assert "one.example leads elsewhere." in str(failed)
    assert authority.asked == []
    assert not run("one", self_probe=False).failed


def test_what_the_web_server_does_not_show_is_deployed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was cut short after the certificate came is finished by the next."""
    run("one")
    shown = tmp_path / "shown"
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\nprintf %s "$RENEWED_LINEAGE" >{shown}\n')
    hook.chmod(0o755)
    monkeypatch.setattr(served, "shows", lambda *_: shown.exists())
    assert run("one", deploy_hook=str(hook), check_mode=True).result["deployed"] == ["one"]
    assert not shown.exists()
    assert run("one", deploy_hook=str(hook)).result["deployed"] == ["one"]
    assert shown.read_text() == str(tmp_path / "letsencrypt/live/one")
    assert not run("one", deploy_hook=str(hook)).result["changed"]


def test_a_web_server_that_refuses_is_said_to(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is there, and still the old one is shown."""
    run("one")
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\necho configuration is broken >&2\nexit 1\n")
    hook.chmod(0o755)
    monkeypatch.setattr(served, "shows", lambda *_: False)
    failed = run("one", deploy_hook=str(hook))
    assert failed.failed
    assert "configuration is broken" in str(failed)


def test_a_lost_account_is_replaced_within_the_run(
    run: Run, authority: Authority, make_certificate: MakeCertificate, tmp_path: Path
) -> None:
    """The certificates of the lost account could not be renewed: they are had anew as well."""
    run("one")
    accounts = tmp_path / "letsencrypt/accounts/acme.example/directory"
    (accounts / ACCOUNT).rename(accounts / "old")
    renewal = tmp_path / "letsencrypt/renewal/one.conf"
    renewal.write_text(renewal.read_text().replace(ACCOUNT, "old"))
    authority.answers = [f"{certbot.ACCOUNT_LOST} :: not found"]
    assert not run("one", "two").failed
    assert authority.asked == ["one", "two", "two", "one"]
    assert not run("one", "two").result["changed"]


def test_the_certificate_of_an_app_that_left_is_retired(run: Run, authority: Authority) -> None:
    """And serves again when the app comes back, without anyone being asked."""
    run("one", "two")
    left = run("one")
    assert left.result["retired"] == ["two"]
    assert not run("one").result["changed"]
    assert run("one", "two", check_mode=True).result["revived"] == ["two"]
    back = run("one", "two")
    assert back.result["revived"] == ["two"]
    assert authority.asked == ["one", "two"]


def test_proof_by_dns_asks_nobody_for_a_challenge(
    run: Run, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host may be one that the world cannot reach; a wildcard stands for what it covers."""
    monkeypatch.setattr(probe, "problem", lambda domain, _: f"{domain} leads elsewhere.")
    apps = [app("one", "www.one.example", "*.one.example", "one.example", challenge="dns")]
    dns = {"dns_authenticator": "dns-rfc2136", "dns_credentials": "/x.ini", "dns_arguments": ["--more"]}
    assert not run(apps=apps, **dns).failed
    (command,) = authority.commands
    asked_for = [value for word, value in pairwise(command) if word == "--domain"]
    assert asked_for == ["*.one.example", "one.example"]
    assert {"dns-rfc2136", "/x.ini", "--more"} <= set(command)
    assert not run(apps=apps, **dns).result["changed"]


def test_another_kind_of_challenge_is_asked_for_once(run: Run) -> None:
    """certbot renews by the one that it was asked with last."""
    run("one")
    apps = [app("one", challenge="dns")]
    assert "webroot" in run(apps=apps, dns_authenticator="manual").result["issued"]["one"]
    assert not run(apps=apps, dns_authenticator="manual").result["changed"]


def test_a_good_one_is_replaced_when_asked_for(run: Run, authority: Authority) -> None:
    """Its key may be known to others; once each, and a name that is wrong does not pass for done."""
    run("one", "two")
    replaced = run("one", "two", replace=["two", "too"])
    assert replaced.result["issued"] == {"two": "was asked for with certbot_force_renewal"}
    (warning,) = replaced.result["warnings"]
    assert "names too" in warning
    assert authority.asked == ["one", "two", "two"]


def test_one_is_replaced_once_though_the_account_was_lost(
    run: Run, authority: Authority, tmp_path: Path
) -> None:
    """A new account makes the module go through all apps again."""
    run("one")
    authority.answers = [f"{certbot.ACCOUNT_LOST} :: not found"]
    for renewal in (tmp_path / "letsencrypt/renewal").glob("*"):
        renewal.unlink()
    accounts = tmp_path / "letsencrypt/accounts/acme.example/directory"
    (accounts / ACCOUNT).rename(accounts / "old")
    assert not run("one", replace=["one"]).failed
    assert authority.asked == ["one", "one", "one"]


def test_a_new_account_is_bound_without_showing_the_key(run: Run, authority: Authority) -> None:
    """It is in a file that is gone by now."""
    run("one", eab_kid="kid-1", eab_hmac_key="c2VjcmV0")
    (command,) = authority.commands
    assert "--config" in command
    assert "c2VjcmV0" not in " ".join(command)
    assert not Path(command[command.index("--config") + 1]).exists()


def test_an_app_goes_from_an_authority_to_a_certificate_of_its_own_and_back(
    run: Run, authority: Authority, module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path leads to the one after the other, nothing old stays, and the authority is asked once."""
    tls, live = tmp_path / "tls", tmp_path / "letsencrypt/live/one"
    hook = tmp_path / "hook"
    template = (ROOT / "roles/certbot/templates/usr/local/sbin/farrier-certificate-deployed.j2").read_text()
    for variable, value in [("certbot_tls_directory", str(tls)), ("certbot_reload_command", "true")]:
        template = template.replace(f"{{{{ {variable} }}}}", value)
    hook.write_text(template)
    hook.chmod(0o755)
    (tmp_path / "logger").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(served, "shows", lambda *_: (tls / "one").readlink() == live)
    tls.mkdir()
    (tls / "one").symlink_to(".placeholder")
    monkeypatch.setattr(module, "RELOAD_TIMEOUT_SECONDS", 0)
    assert run("one", deploy_hook=str(hook)).result["deployed"] == ["one"]
    renewal = tmp_path / "letsencrypt/renewal/one.conf"
    renewal.write_text(renewal.read_text().replace(HOOK, str(hook)))

    managed_certificates.keep(tls, "one", managed_certificates.Pair("chain", "key"))
    assert run(deploy_hook=str(hook)).result["retired"] == ["one"]
    assert managed_certificates.is_kept(tls, "one", managed_certificates.Pair("chain", "key"))

    back = run("one", deploy_hook=str(hook))
    assert (back.failed, back.result["revived"], back.result["deployed"]) == (False, ["one"], ["one"])
    assert (tls / "one").readlink() == live
    assert list(managed_certificates.left_over(tls)) == [
        managed_certificates.place(tls, "one", managed_certificates.Pair("chain", "key"))
    ]
    assert authority.asked == ["one"]
