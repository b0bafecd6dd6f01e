"""Whether the user of Ansible has a key, wherever the server looks for it."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.farrier.kit.plugins.modules.ssh_server_facts import has_key

SETTINGS = {"authorizedkeysfile": ".ssh/authorized_keys %h/.ssh/more /keys/%u"}


def test_a_file_with_a_key_counts(tmp_path: Path) -> None:
    """Comments are none."""
    (tmp_path / ".ssh").mkdir()
    assert not has_key(SETTINGS, "ann", tmp_path)
    (tmp_path / ".ssh/authorized_keys").write_text("# ssh-ed25519 AAAA\n\n")
    assert not has_key(SETTINGS, "ann", tmp_path)
    (tmp_path / ".ssh/more").write_text("ssh-ed25519 AAAA ann\n")
    assert has_key(SETTINGS, "ann", tmp_path)


def test_keys_may_come_from_elsewhere(tmp_path: Path) -> None:
    """A certificate, or a command: the new connection will prove it."""
    assert has_key(SETTINGS | {"trustedusercakeys": "/etc/ssh/ca.pub"}, "ann", tmp_path)
    assert has_key(SETTINGS | {"authorizedkeyscommand": "/usr/bin/keys"}, "ann", tmp_path)
    none = {"trustedusercakeys": "none", "authorizedkeyscommand": "none"}
    assert not has_key(SETTINGS | none, "ann", tmp_path)
