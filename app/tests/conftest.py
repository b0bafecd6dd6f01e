"""What the tests share: a database with its schema, running servers, a browser."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
# The application reads these at import; the tests that use it in this process share one directory.
os.environ["STATE_DIRECTORY"] = tempfile.mkdtemp(prefix="observatory-test-")
os.environ["RELEASE_ID"] = "test-1"
os.environ.pop("RUNTIME_DIRECTORY", None)
os.environ.pop("DATABASE_URL", None)

from chromium import Chromium  # noqa: E402 -- after the variables above
from in_process import Client  # noqa: E402 -- after the variables above
from servers import Server, listen, migrate  # noqa: E402 -- after the variables above


@pytest.fixture(scope="session")
def client() -> Client:
    """The application in this process, with its database ready."""
    from observatory.main import app

    done = migrate(Path(os.environ["STATE_DIRECTORY"]))
    assert done.returncode == 0, done.stderr
    return Client(app)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The application in two workers of a real server."""
    state = tmp_path_factory.mktemp("server")
    assert migrate(state).returncode == 0
    with listen() as listener, Server(listener, state, "release-1", workers=2) as running:
        yield running


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A headless browser."""
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium
