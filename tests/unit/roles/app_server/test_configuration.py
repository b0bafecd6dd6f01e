"""Reading the settings: every mistake is named with file, key and fix, and no secret with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from farrier_gunicorn.configuration import ConfigurationError, load

from tests.unit.roles.app_server.host import Host


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Of a service whose settings are in order; the release is not built."""
    host = Host(tmp_path)
    (tmp_path / "releases" / "20260101T000000Z-abc" / "source" / "project").mkdir(parents=True)
    host.activate("20260101T000000Z-abc")
    return {"FARRIER_SETTINGS": str(tmp_path / "gunicorn.json")}


def change(environ: dict[str, str], **changes: Any) -> None:
    path = Path(environ["FARRIER_SETTINGS"])
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_release_is_pinned_to_its_real_path(environ: dict[str, str], tmp_path: Path) -> None:
    """`current` moves on; what was read must not."""
    configuration = load(environ)
    assert configuration.release == "20260101T000000Z-abc"
    assert configuration.project_directory == tmp_path / "releases" / "20260101T000000Z-abc/source/project"
    assert configuration.environment == {"RELEASE_ID": "20260101T000000Z-abc"}
    assert configuration.bind == ()


def test_what_a_deploy_brings_is_for_its_release_alone(environ: dict[str, str], tmp_path: Path) -> None:
    """Until it is live for good, and takes the place of what all releases read."""
    (tmp_path / "releases" / "next" / "source" / "project").mkdir(parents=True)
    (tmp_path / "environment.next.json").write_text('{"GREETING": "hello"}')
    settings = json.loads((tmp_path / "gunicorn.json").read_text())
    (tmp_path / "gunicorn.next.json").write_text(json.dumps({**settings, "max_requests": 5}))
    before = load(environ)
    environ["FARRIER_RELEASE_DIRECTORY"] = str(tmp_path / "releases" / "next")
    after = load(environ)
    assert ("GREETING" in before.environment, before.max_requests) == (False, settings["max_requests"])
    assert (after.environment["GREETING"], after.max_requests) == ("hello", 5)
    for name in ("environment", "gunicorn"):
        (tmp_path / f"{name}.next.json").replace(tmp_path / f"{name}.json")
    assert load(environ).digest == after.digest


def test_rehearsal_overrides(environ: dict[str, str], tmp_path: Path) -> None:
    """A rehearsal runs another release than the current one, apart from the service."""
    (tmp_path / "releases" / "next" / "source" / "project").mkdir(parents=True)
    environ["FARRIER_RELEASE_DIRECTORY"] = str(tmp_path / "releases" / "next")
    environ["FARRIER_BIND"] = "unix:/run/rehearsal/http.sock"
    environ["FARRIER_WORKERS"] = "1"
    environ["FARRIER_RUN_DIRECTORY"] = "/run/rehearsal"
    configuration = load(environ)
    assert configuration.release == "next"
    assert configuration.bind == ("unix:/run/rehearsal/http.sock",)
    assert configuration.workers == 1
    assert configuration.run_directory == Path("/run/rehearsal")


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("name", "Example", "name must be a slug such as my-app, not 'Example'"),
        ("module", "example.app", "module must be of the form package.module:attribute"),
        ("current", "releases/1", "current must be an absolute path"),
        (
            "worker_class",
            "sync",
            "worker_class must be one of handover, handover_h11, handover_wsgi, handover_uwsgi, "
            "handover_asgi, handover_hypercorn, handover_daphne, stock, stock_h11",
        ),
        ("workers", 0, "workers must be a whole number of at least 1, not 0"),
        ("workers", True, "workers must be a whole number of at least 1, not True"),
        ("workers", 1.5, "workers must be a whole number of at least 1, not 1.5"),
        ("max_requests", -1, "max_requests must be a whole number of at least 0"),
        ("root_path", "/api/", "root_path must be a URL prefix such as /api, or empty, not '/api/'"),
        ("subdir", "../elsewhere", "subdir must be a path inside the release's source"),
        ("subdir", "/srv", "subdir must be a path inside the release's source"),
        ("subdir", "nowhere", "subdir 'nowhere': there is no "),
        ("keepalive_seconds", 1, "keepalive_seconds must be longer than proxy_keepalive_seconds (1)"),
        ("graceful_timeout_seconds", 2, "graceful_timeout_seconds must be at least 3"),
        ("colour", "blue", "there is no setting colour; remove it"),
    ],
)
def test_mistake_is_named(environ: dict[str, str], key: str, value: Any, complaint: str) -> None:
    """With the file that it is in."""
    change(environ, **{key: value})
    with pytest.raises(ConfigurationError) as raised:
        load(environ)
    assert str(raised.value).startswith(f"{environ['FARRIER_SETTINGS']}: {complaint}")


def test_missing_setting_is_named(environ: dict[str, str]) -> None:
    """There are no defaults: the role has them."""
    path = Path(environ["FARRIER_SETTINGS"])
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "backlog"}))
    with pytest.raises(ConfigurationError, match="backlog is missing"):
        load(environ)


def test_missing_pointer_to_the_settings_is_named() -> None:
    """For one who calls gunicorn by hand."""
    with pytest.raises(ConfigurationError, match="FARRIER_SETTINGS is not set"):
        load({})


@pytest.mark.parametrize("value", ["0", "-1", "two", ""])
def test_mistake_in_an_override_is_named(environ: dict[str, str], value: str) -> None:
    """The unit of the rehearsal is written by hand, too."""
    with pytest.raises(ConfigurationError, match="FARRIER_WORKERS must be a whole number"):
        load({**environ, "FARRIER_WORKERS": value})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"API_KEY": 42}', "the value of API_KEY must be a string"),
        ('{"API_KEY": "s3cr3t\\u0000"}', "the value of API_KEY must be a string without NUL"),
        ('{"API=KEY": "s3cr3t"}', "'API=KEY' is not a name"),
        ('{"": "s3cr3t"}', "'' is not a name"),
        ('["s3cr3t"]', "must hold one JSON object"),
        ('{"API_KEY": "s3cr3t"', ":1:21: not JSON"),
        ("\udcff", "is not UTF-8"),
        ("[" * 100_000, "holds what no settings are made of"),
        ('{"API_KEY": ' + "1" * 5000, "holds what no settings are made of"),
    ],
)
def test_mistake_in_the_environment_is_named_without_its_value(
    environ: dict[str, str], tmp_path: Path, content: str, complaint: str
) -> None:
    """The message goes to logs and terminals."""
    (tmp_path / "environment.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ConfigurationError) as raised:
        load(environ)
    assert complaint in str(raised.value)
    assert "s3cr3t" not in str(raised.value)
    assert raised.value.__cause__ is None
