"""Read files of the controller, those that ansible-vault has encrypted too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError

from .certificates import Reader
from .mistakes import MistakeError

MARK = b"$ANSIBLE_VAULT;"


def reader(loader: Any) -> Reader:
    """Return a function that reads a file, and decrypts it where it is encrypted.

    It raises OSError where the file cannot be read, and :class:`MistakeError` where it cannot be decrypted.

    Args:
        loader: Ansible's DataLoader, which knows the passwords of the vaults.
    """

    def read(path: Path) -> bytes:
        content = path.read_bytes()
        if not content.startswith(MARK):
            return content
        try:
            return bytes(loader.get_text_file_contents(str(path)).encode())
        except AnsibleError:
            fix = "pass the vault password: --ask-vault-pass or --vault-password-file FILE"
            raise MistakeError("cannot be decrypted", fix) from None

    return read
