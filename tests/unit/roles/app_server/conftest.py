"""Fixtures: hosts whose masters are gone when the test is over."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.unit.roles.app_server.host import Host


@pytest.fixture
def make_host() -> Iterator[Callable[..., Host]]:
    """Hosts with settings of one's own. Not in tmp_path: the path of a unix socket has to be short."""
    with ExitStack() as stack:

        def make(**settings: object) -> Host:
            directory = Path(tempfile.mkdtemp(prefix="farrier-"))
            stack.callback(shutil.rmtree, directory)
            return stack.enter_context(Host(directory, **settings))

        yield make


@pytest.fixture
def host(make_host: Callable[..., Host]) -> Host:
    """A host with release 1 live and release 2 beside it; nothing runs yet."""
    host = make_host()
    host.add_release("1")
    host.add_release("2")
    host.activate("1")
    return host
