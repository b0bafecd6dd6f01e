"""Which answers nginx passes on piece by piece, in its configuration as the role's templates make it."""

from __future__ import annotations

import re

from tests.unit.roles.nginx.test_http3 import Files, files, servers

__all__ = ["files"]


def test_answers_of_a_stock_worker_alone_are_never_buffered(files: dict[bool, Files]) -> None:
    """uvicorn's own worker does not say which of them are made piece by piece."""
    answers = {
        re.findall(r"server_name (\S+?)[ ;]", server)[0]: location[0]
        for server in servers(files[False])
        if (location := re.search(r"location / \{.*?proxy_pass", server, re.DOTALL))
    }
    assert len(answers) == 2
    assert [name for name, location in answers.items() if "proxy_buffering off;" in location] == [
        "blog.example.org"
    ]
