"""No value of an app's environment is kept or shown: not in a log, not in a result, not on a terminal."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote

import pytest
from farrier_release.__main__ import main
from farrier_release.application import Application
from farrier_release.masking import Masking
from farrier_release.state import Transaction

from tests.unit.roles.release import test_deploy
from tests.unit.roles.release.conftest import Run, make_live, request
from tests.unit.roles.release.machine import Behaviour, FakeHost, with_settings
from tests.unit.roles.release.test_deploy import OLD, Deploy

deploy = test_deploy.deploy

PASSWORD = 'p"ä ss/w+rd&1'
KEY = "-----BEGIN KEY-----\nMIIEvgIBADANBgkq\nx\n-----END KEY-----\n"
URL = "postgresql://shop:hunter2%2F@db.internal.example:5432/shop?sslmode=require&application_name=shop"


def masked(text: str, **environment: str) -> str:
    """What becomes of a text."""
    return Masking(environment.items()).text(text)


@pytest.mark.parametrize(
    "form",
    [
        PASSWORD,
        quote(PASSWORD),
        quote(PASSWORD, safe=""),
        json.dumps(PASSWORD),
        json.dumps(PASSWORD, ensure_ascii=False),
        repr(PASSWORD),
        ascii(PASSWORD),
        base64.b64encode(PASSWORD.encode()).decode(),
        base64.urlsafe_b64encode(PASSWORD.encode()).decode().rstrip("="),
        f"'{PASSWORD}'",
    ],
)
def test_a_value_in_every_common_form(form: str) -> None:
    """What names it stays."""
    found = masked(f"refused: {form}!", PASSWORD=PASSWORD)
    assert re.fullmatch(r"refused: ['\"]?\*\*\*PASSWORD\*\*\*=?['\"]?!", found)


def test_lines_of_a_key_and_the_password_of_an_address() -> None:
    """Both are seldom shown as a whole."""
    assert masked("MIIEvgIBADANBgkq", KEY=KEY) == "***KEY***"
    assert masked("x", KEY=KEY) == "x"
    assert (
        masked("user shop, password hunter2/", DATABASE_URL=URL) == "user shop, password ***DATABASE_URL***"
    )


def test_a_value_that_pydantic_has_cut_short() -> None:
    """It shows 25 characters of the beginning and 24 of the end of its input."""
    shown = f"input_value='{URL}'"
    cut = f"{shown[:37]}...{shown[-24:]}, input_type=str"
    assert masked(cut, DATABASE_URL=URL) == (
        "input_value='***DATABASE_URL***...***DATABASE_URL***', input_type=str"
    )
    data = f"input_value={{'debug': 'x', 'url': '{URL[:20]}...{URL[-9:]}', 'key': 'k'}}"
    assert masked(data, DATABASE_URL=URL) == (
        "input_value={'debug': 'x', 'url': '***DATABASE_URL***...***DATABASE_URL***', 'key': 'k'}"
    )


def test_what_is_no_secret_stays() -> None:
    """Short values, switches, paths of this host, and words within words."""
    environment = {"A": "abc", "DEBUG": "true", "HOME": "/usr/bin", "LEVEL": "info", "EMPTY": ""}
    text = "true information about abc in /usr/bin/python..."
    assert masked(text, **environment) == text
    assert masked("level=info", **environment) == "level=***LEVEL***"


def test_plain_data() -> None:
    """What is for people, however deep."""
    masking = Masking([("KEY", "secret-value")])
    data = {"error": {"log": ["x secret-value", {"b": ("secret-value", 1, None, 2.5, True)}]}, "to": "x"}
    assert masking.data(data) == {
        "error": {"log": ["x ***KEY***", {"b": ["***KEY***", 1, None, 2.5, True]}]},
        "to": "x",
    }


def test_the_app_and_the_id_of_a_release_stay(run: Run, host: FakeHost) -> None:
    """Both may well be in the environment, as a version or as the name of a database."""
    make_live(host, "20260101T000000Z-v1.4.0")
    environment = {"VERSION": "v1.4.0", "POSTGRES_DB": "test"}
    host.configuration.gunicorn_settings.with_name("environment.json").write_text(json.dumps(environment))
    status = run("status")[1]
    assert status["live"] == "20260101T000000Z-v1.4.0"
    assert status["text"][0] == "test: 20260101T000000Z-v1.4.0"


@pytest.fixture
def secret(host: FakeHost) -> str:
    """The app has one."""
    path = host.configuration.gunicorn_settings.with_name("environment.json")
    path.write_text(json.dumps({"TOKEN": "tok-5f2c9e71"}))
    return "tok-5f2c9e71"


def test_a_failed_import_does_not_tell_it(deploy: Deploy, run: Run, secret: str) -> None:
    """Neither the result, nor the log, nor what an operator sees."""
    error = f"ValidationError: port: not a number [input_value='{secret}', input_type=str]"
    deploy.host.behaviours[deploy.release] = Behaviour(boots=False, error=error)
    _, result = deploy.prepare()
    log = (deploy.host.configuration.log_directory / "deploys.jsonl").read_text()
    assert "input_value='***TOKEN***'" in result["message"]
    for text in (json.dumps(result), log, json.dumps(run("status")[1]), json.dumps(run("log")[1])):
        assert secret not in text


def test_a_migration_does_not_tell_it(deploy: Deploy, secret: str) -> None:
    """What it prints is kept as the reason of a failure."""
    with_settings(deploy.host, migrate=["migrate it"])
    deploy.host.failing_tasks.add("migrate")
    deploy.host.task_output = f"cannot connect with {secret}"
    _, result = deploy.prepare("--migrate")
    assert result["error"]["log"] == ["cannot connect with ***TOKEN***"]


def test_what_was_taken_over_does_not_tell_it(
    host: FakeHost, run: Run, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither release serves: what the app has said of it stays in the state file until the next result."""
    make_live(host, OLD)
    host.systemctl("stop", "test.service")
    host.behaviours[OLD] = Behaviour(boots=False)
    monkeypatch.setattr(host, "journal", lambda *_, **__: [f"cannot connect with {secret}"])
    flipped = Transaction("t", "deploy", "ann", {}, OLD, OLD, 1.0, phase="activate", flip={"at": 1.0})
    Application(host.configuration, host).state.begin(flipped)
    run("begin", "--request", request(), "--gone", flipped.public_id())
    state = (host.configuration.root / ".state.json").read_text()
    assert "cannot connect with ***TOKEN***" in state
    assert secret not in state


def test_a_terminal_does_not_show_it(host: FakeHost, secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    """People get the same."""
    make_live(host, OLD, activated_by=f"somebody with {secret}", activated_at=1.0)
    main(["--app", "test", "status"], host=host, configuration_directory=host.configuration_directory)
    assert "by somebody with ***TOKEN***" in capsys.readouterr().out
