"""The module as a whole, with an authority of ours: what happens to whom, and what the operator is told."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import farrier_edge
import pytest
from farrier_edge import certbot

from .conftest import ACCOUNT, HOOK, SERVER, MakeCertificate, MakeLineage

MODULE = Path(__file__).resolve().parents[3] / "plugins/modules/acme_certificates.py"


class EndedError(Exception):
    """The module has said its last word."""

    def __init__(self, failed: bool, result: dict[str, Any]) -> None:
        super().__init__(result.get("msg", ""))
        self.failed = failed
        self.result = result


Run = Callable[..., EndedError]


class Authority:
    """Stands in for certbot and the authority behind it.

    Attributes:
        asked: names of the certificates that were asked for, in order.
        answers: what it says to the next who ask; it issues when there is nothing left to say.
    """

    def __init__(self, make_lineage: MakeLineage) -> None:
        self.asked: list[str] = []
        self.answers: list[str] = []
        self._make_lineage = make_lineage

    def run(self, command: list[str], environment: dict[str, str], timeout_seconds: float) -> str:
        """Do what certbot does."""
        assert timeout_seconds > 0
        assert environment["LC_ALL"] == "C.UTF-8"
        name = command[command.index("--cert-name") + 1]
        self.asked.append(name)
        if self.answers and (answer := self.answers.pop(0)):
            return answer
        domains = [value for word, value in pairwise(command) if word == "--domain"]
        self._make_lineage(name, domains)
        return ""


@pytest.fixture
def authority(make_lineage: MakeLineage) -> Authority:
    """Return an authority that issues."""
    return Authority(make_lineage)


@pytest.fixture
def module(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module's file, loaded as Ansible lays it out, on a host whose web server shows all."""
    for name in ("certbot", "lineage", "probe", "served"):
        library = importlib.import_module(f"farrier_edge.{name}")
        monkeypatch.setitem(sys.modules, f"ansible.module_utils.farrier_edge.{name}", library)
    monkeypatch.setitem(sys.modules, "ansible.module_utils.farrier_edge", farrier_edge)
    spec = importlib.util.spec_from_file_location("acme_certificates", MODULE)
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, loaded)
    spec.loader.exec_module(loaded)
    monkeypatch.setattr(loaded, "CONFIGURATION", tmp_path / "letsencrypt")
    monkeypatch.setattr(certbot, "run", authority.run)
    monkeypatch.setattr(farrier_edge.served, "shows", lambda *_: True)
    monkeypatch.setattr(farrier_edge.probe, "problem", lambda *_: "")
    return loaded


@pytest.fixture
def run(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the module for some apps, by name with one domain each."""

    def run(*names: str, check_mode: bool = False, **other: Any) -> EndedError:
        class FakeModule:
            def __init__(self, **_: Any) -> None:
                self.check_mode = check_mode
                self.params = {
                    "apps": [{"name": name, "domains": [f"{name}.example"]} for name in names],
                    "directory_url": SERVER,
                    "ca_file": None,
                    "email": "",
                    "webroot": "/nonexistent",
                    "deploy_hook": HOOK,
                    "self_probe": True,
                } | other

            def exit_json(self, **result: Any) -> None:
                raise EndedError(False, result)

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
    monkeypatch.setattr(farrier_edge.probe, "problem", lambda domain, _: f"{domain} leads elsewhere.")
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
    monkeypatch.setattr(farrier_edge.served, "shows", lambda *_: shown.exists())
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
    monkeypatch.setattr(farrier_edge.served, "shows", lambda *_: False)
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
