"""nginx on an edge whose apps have no domains, or that has none yet."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.roles.nginx.test_http3 import ROLE
from tests.unit.roles.nginx.test_trusted_proxies import render

FILES = ROLE / "templates/etc/nginx"


def test_every_variable_is_set_without_a_site(tmp_path: Path) -> None:
    """nginx refuses a configuration that reads a variable which no file of it sets."""
    main = render(tmp_path, {"nginx_apps": []}).partition("include farrier/apps/")[0]
    for name in set(re.findall(r"include (farrier/\w+\.conf);", main)):
        main += (FILES / f"{name}.j2").read_text()
    is_set = set(re.findall(r"(?:\b(?:geo|map) .*|\bset )\$(farrier_\w+)", main))
    assert set(re.findall(r"\$(farrier_\w+)", main)) - is_set == set()
