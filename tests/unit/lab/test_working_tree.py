"""Where the application of a working tree is, and what its entry in `apps` is while it is developed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import app_problems

from lab.working_tree import Application, NotFoundError, choose, entry, find, server

FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI()\n"
FLASK = "from flask import Flask\n\n\ndef create_app():\n    return Flask(__name__)\n"
MANAGE = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")\n'
DJANGO = "from django.core.wsgi import get_wsgi_application\n\napplication = get_wsgi_application()\n"


def tree(directory: Path, **files: str) -> Path:
    """Write files, whose names have `__` for a slash."""
    for name, content in files.items():
        path = directory / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return directory


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"main": FASTAPI}, Application("main:app", "asgi")),
        ({"app__main": FASTAPI, "tests__app": FASTAPI}, Application("app.main:app", "asgi")),
        ({"src__shop__main": FASTAPI, "setup": FASTAPI}, Application("shop.main:app", "asgi", "src")),
        ({"shop__app": FLASK}, Application("shop.app:create_app()", "wsgi")),
        ({"shop__app": FLASK, "wsgi": "from flask import x\napp = x()"}, Application("wsgi:app", "wsgi")),
        ({"manage": MANAGE, "config__wsgi": DJANGO}, Application("config.wsgi:application", "wsgi")),
        ({"main": FASTAPI, "app": "app = ("}, Application("main:app", "asgi")),
    ],
)
def test_the_application_is_found(tmp_path: Path, files: dict[str, str], found: Application) -> None:
    """In the layouts that tutorials and project templates have."""
    assert find(tree(tmp_path, **files)) == found


def test_fastapis_own_setting_is_believed(tmp_path: Path) -> None:
    """Who has told `fastapi dev` need not say it again."""
    tree(tmp_path, main=FASTAPI, backend__api=FASTAPI)
    (tmp_path / "pyproject.toml").write_text('[tool.fastapi]\nentrypoint = "backend.api:app"\n')
    assert find(tmp_path) == Application("backend.api:app", "asgi")


@pytest.mark.parametrize(
    ("files", "module", "said"),
    [
        ({"library": "x = 1\n"}, "", "no application that can be found by itself. Say where it is: MODULE="),
        ({"main": FASTAPI, "app": FASTAPI}, "", "more than one application. Say which one: MODULE="),
        ({"main": FASTAPI}, "shop.main:app", "has no module shop.main: correct MODULE=shop.main:app"),
        ({"main": FASTAPI}, "main", "main is not of the form package.module:attribute"),
        ({"main": FASTAPI}, "main:make('x')", "call a factory without arguments"),
    ],
)
def test_what_is_not_clear_is_asked_for(
    tmp_path: Path, files: dict[str, str], module: str, said: str
) -> None:
    """The message has the word to add to the command."""
    with pytest.raises(NotFoundError) as caught:
        find(tree(tmp_path, **files), module)
    assert said in str(caught.value)


def test_a_package_elsewhere_is_imported_from_there(tmp_path: Path) -> None:
    """Or the copy that the build has installed would be served, and no saved file seen."""
    tree(tmp_path, backend__shop__main=FASTAPI)
    assert find(tmp_path, "shop.main:app").root == "backend"


@pytest.mark.parametrize("files", [{"main": FASTAPI}, {"app": FLASK}])
def test_the_entry_keeps_the_contract(tmp_path: Path, files: dict[str, str]) -> None:
    """A run must not stop at what nobody wrote."""
    app, _ = entry(tree(tmp_path / "My 2. Shop!", **files))
    assert app_problems(app, 0) == []
    assert (app["name"], app["domains"]) == ("my-2-shop", ["my-2-shop.develop.test"])


def test_an_inventorys_entry_is_followed(tmp_path: Path) -> None:
    """The environment and paths of production, but not its domains, nor what only a build makes."""
    tree(tmp_path, services__web__main=FASTAPI, services__web__static__x="")
    known: dict[str, Any] = {
        "name": "shop",
        "domains": ["shop.example.org"],
        "path": "/api",
        "source": {"git": "https://git.example.org/shop.git", "version": "v1", "subdir": "services/web"},
        "module": "main:app",
        "env": {"LOG_LEVEL": "info"},
        "static": {"/static": "static", "/assets": "dist"},
        "processes": {"worker": {"command": "true"}},
        "certificate": {"challenge": "dns"},
    }
    app, found = entry(tmp_path, known=known)
    assert app_problems(app, 0) == []
    assert app["source"] == {"path": str(tmp_path), "subdir": "services/web"}
    assert (app["env"], app["path"], app["domains"]) == (known["env"], "/api", ["shop.develop.test"])
    assert app["static"] == {"/static": "static"}
    assert "processes" not in app
    assert found == Application("main:app", "asgi")
    assert server(tmp_path / "services/web", app).endswith("--forwarded-allow-ips '*' --root-path /api")


def test_django_answers_static_files_by_itself(tmp_path: Path) -> None:
    """They are collected by a deploy only."""
    tree(tmp_path, manage=MANAGE, config__wsgi=DJANGO, static__x="")
    known = {"name": "site", "interface": "wsgi", "source": {}, "static": {"/static": "static"}}
    app, _ = entry(tmp_path, known=known)
    assert app["static"] == {}
    assert server(tmp_path, app) == "python -m farrier_develop.runserver runserver"


def test_a_factory_is_called(tmp_path: Path) -> None:
    """uvicorn has an option for it; WSGI's runner reads the call."""
    assert " --factory " in server(tmp_path, {"interface": "asgi", "module": "main:create_app()"})
    assert server(tmp_path, {"interface": "wsgi", "module": "m:f()"}) == "python -m farrier_develop.wsgi"


def test_the_entry_of_the_tree_is_chosen(tmp_path: Path) -> None:
    """By the name that was said, by the directory, or since there is no other."""
    shop, blog = tmp_path / "shop", tmp_path / "elsewhere"
    apps = [{"name": "shop", "source": {}}, {"name": "blog", "source": {"path": str(blog)}}]
    assert choose(apps, shop) is apps[0]
    assert choose(apps, blog) is apps[1]
    assert choose(apps, tmp_path, "blog") is apps[1]
    assert choose(apps[:1], tmp_path) is apps[0]
    for arguments in ((tmp_path,), (tmp_path, "wiki")):
        with pytest.raises(NotFoundError, match="Say NAME= and one of: shop, blog"):
            choose(apps, *arguments)
