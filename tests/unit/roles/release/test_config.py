"""release.json: what is wrong in it is said before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from farrier_release.config import load, parse
from farrier_release.errors import ConfigurationError


def test_a_name_is_enough() -> None:
    """The rest has its conventional place, so that the role writes only what differs."""
    configuration = parse({"name": "shop"}, "here")
    assert configuration.root == Path("/srv/shop")
    assert configuration.build_user == "shop-build"
    assert configuration.rehearsal_unit_of("r1") == "shop-rehearsal@r1.service"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"keep_releases": 1}, "keep_releases is 1; expected 2 or more"),
        ({"keep_releases": "5"}, "expected a whole number"),
        ({"keep_releases": True}, "expected a whole number"),
        ({"health_path": "healthz"}, "a path that begins with /"),
        ({"subdir": "../elsewhere"}, "a relative path without .."),
        ({"python": "3"}, "a version such as 3.13"),
        ({"root": "srv/shop"}, "an absolute path"),
        ({"migrate": "alembic upgrade head"}, "a list of strings"),
        ({"hooks": {"before_lunch": []}}, "unknown key 'before_lunch'"),
        ({"edge": {"address": "127.0.0.1", "port": "443", "host": "x"}}, "expected a whole number"),
        ({"rehearsal_unit": "shop-rehearsal.service"}, "{release}"),
        ({"name": "../etc"}, "a slug"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, object], message: str) -> None:
    """With the file, the key, the value and what is expected instead."""
    with pytest.raises(ConfigurationError) as caught:
        parse({"name": "shop", **changes}, "release.json")
    assert "release.json" in caught.value.message
    assert message in caught.value.message


def test_an_unknown_application_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    """A typo in the name is the most likely cause."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "release.json").write_text('{"name": "shop"}')
    assert load("shop", tmp_path).name == "shop"
    with pytest.raises(ConfigurationError, match=r"no application 'shoop'.*It has: shop"):
        load("shoop", tmp_path)
    with pytest.raises(ConfigurationError, match="not the name of an application"):
        load("../shop", tmp_path)


def test_broken_json_is_named(tmp_path: Path) -> None:
    """And the way to write it anew."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "release.json").write_text("{")
    with pytest.raises(ConfigurationError, match="Cannot read") as caught:
        load("shop", tmp_path)
    assert "farrier.kit.site" in caught.value.next_command
