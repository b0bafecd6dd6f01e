"""Every application goes live, is deployed again and rolled back, with its source as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from testinfra.host import Host

from tests.harness.deploys import run
from tests.harness.meanwhile import repeated

SCENARIO = Path(__file__).resolve().parents[1]
INVENTORY = SCENARIO / "inventory"
APPS = yaml.safe_load((INVENTORY / "group_vars/all/apps.yml").read_text())["apps"]
WEB = [app for app in APPS if app.get("domains")]
# Other tests deploy these and roll them back, while they do what they are there for.
ELSEWHERE = ("alone", "jobs", "queue")


def test_every_application_answers(get: Callable[..., tuple[int, str]]) -> None:
    """The inventory alone was enough."""
    answers = {app["name"]: get(app["name"], app.get("health_path", "/healthz"))[0] for app in WEB}
    assert answers == dict.fromkeys(answers, 200)


@pytest.mark.parametrize("name", [app["name"] for app in APPS if app["name"] not in ELSEWHERE])
def test_it_is_deployed_again_and_rolled_back(
    host: Host, get: Callable[..., tuple[int, str]], name: str
) -> None:
    """What went in once goes in again, and comes back; whoever asks it meanwhile gets an answer."""
    health_path = next(app.get("health_path", "/healthz") for app in APPS if app["name"] == name)
    current = f"readlink /srv/{name}/current"
    first = host.check_output(current)
    is_web = name in [app["name"] for app in WEB]
    with repeated(lambda: get(name, health_path)[0] if is_web else 200, every_seconds=0.02) as answers:
        deployed = run(INVENTORY, "deploy", app=name, version="second")
        assert not deployed.failed, deployed.output
        assert host.check_output(current) != first
        rolled_back = run(INVENTORY, "rollback", app=name)
        assert not rolled_back.failed, rolled_back.output
        assert host.check_output(current) == first
    assert set(answers) == {200}


def test_a_page_finds_the_assets_that_it_was_loaded_with(
    host: Host, get: Callable[..., tuple[int, str]]
) -> None:
    """Also after the deploy, or the rollback, of a release that names them otherwise."""
    assets = {"first": "/assets/page.css", "second": "/assets/second-page.css"}
    with repeated(lambda: get("plain", assets["first"])[0], every_seconds=0.02) as answers:
        for version, former in (("second", "first"), ("first", "second")):
            deployed = run(INVENTORY, "deploy", app="plain", version=version)
            assert not deployed.failed, deployed.output
            for asset in (assets[version], assets[former]):
                assert get("plain", asset) == (200, "body {}\n")
    assert set(answers) == {200}
    assert get("plain", "/assets/none.css")[0] == 404
    assert get("plain", "/assets/..%2fmain.py")[0] == 404
