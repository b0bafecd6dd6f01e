"""The first line of sshd's configuration counts, wherever it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.sshd_configuration import (
    set_before,
    set_by,
    settings,
)


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """Return Debian's configuration in short, with a file of a cloud's."""
    (tmp_path / "sshd_config.d").mkdir()
    (tmp_path / "sshd_config.d/50-cloud.conf").write_text("PasswordAuthentication yes\n")
    (tmp_path / "sshd_config").write_text(
        "# first\nInclude sshd_config.d/*.conf\nX11Forwarding=yes\nMatch User ann\nPermitTunnel yes\n"
    )
    return tmp_path / "sshd_config"


def test_the_line_that_counts_is_named(configuration: Path) -> None:
    """What stands behind Match is not for everyone."""
    assert set_by(configuration) == {
        "passwordauthentication": f"{configuration.parent}/sshd_config.d/50-cloud.conf:1",
        "x11forwarding": f"{configuration}:3",
    }


def test_what_comes_before_a_file_overrides_it(configuration: Path) -> None:
    """Of its directory, files with a lower name; of sshd_config, lines above the Include."""
    directory = configuration.parent / "sshd_config.d"
    assert set_before(configuration, directory / "00-farrier.conf") == {}
    (directory / "00-first.conf").write_text("MaxAuthTries 9\n")
    before = set_before(configuration, directory / "01-farrier.conf")
    assert before == {"maxauthtries": f"{directory}/00-first.conf:1"}
    configuration.write_text("loglevel QUIET\n" + configuration.read_text())
    assert set_before(configuration, directory / "00-farrier.conf") == {"loglevel": f"{configuration}:1"}


def test_a_file_that_is_not_included_is_told(configuration: Path) -> None:
    """It would be written, and say nothing."""
    configuration.write_text("PermitRootLogin yes\n")
    assert set_before(configuration, configuration.parent / "sshd_config.d/00-farrier.conf") is None


def test_settings_are_those_that_sshd_prints() -> None:
    """Some come more than once."""
    said = "port 22\nport 2222\npermitrootlogin no\nmacs a,b\n"
    assert settings(said) == {"port": "22 2222", "permitrootlogin": "no", "macs": "a,b"}
