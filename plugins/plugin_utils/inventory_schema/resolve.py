"""Resolve templates value by value, so that one failure hides no other mistake."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.parsing.vault import VaultHelper
from ansible.template import Templar

from .mistakes import Hidden, Unresolved

try:
    # ansible-core has no public name for this. Where it is gone, messages lack file and line.
    from ansible._internal._datatag._tags import Origin
except ImportError:
    Origin = None


class Resolver:
    """Turns a variable into plain Python data and notes where each value was written.

    Attributes:
        locations: "file:line" by dotted path, as in "[0].source.git".
    """

    def __init__(
        self, template: Callable[[Any], Any], failure: type[Exception], undefined: type[Exception]
    ) -> None:
        """Keep what Ansible brings.

        Args:
            template: Resolves one value.
            failure: Raised by `template` for whatever reason.
            undefined: Raised by `template` for an undefined variable; a kind of `failure`.
        """
        self._template = template
        self._failure = failure
        self._undefined = undefined
        self.locations: dict[str, str] = {}

    def resolve(self, value: Any, path: str = "") -> Any:
        """Return the value without templates, tags and laziness; what cannot be resolved is `Unresolved`."""
        self._note_location(value, path)
        if isinstance(value, Mapping):
            return {_plain(key): self.resolve(item, f"{path}.{key}") for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.resolve(item, f"{path}[{index}]") for index, item in enumerate(value)]
        try:
            resolved = self._template(value)
            if isinstance(resolved, Mapping | list | tuple):
                return self.resolve(resolved, path)
            return _plain(resolved)
        except self._undefined as error:
            fix = "define it in group_vars, host_vars or the vault, or correct its name"
            return Unresolved(f"cannot be resolved: {error}", fix)
        except self._failure as error:
            if "vault" in str(error) or "decrypt" in str(error):
                fix = "pass the vault password: --ask-vault-pass or --vault-password-file FILE"
                return Unresolved("cannot be decrypted", fix)
            # Ansible's message may quote the value.
            reason = "" if ".secrets" in path else f": {error}"
            return Unresolved(f"cannot be resolved{reason}", "correct the template")

    def _note_location(self, value: Any, path: str) -> None:
        origin = Origin and Origin.get_tag(value)
        if origin and origin.path:
            file = Path(origin.path)
            relative = os.path.relpath(file)
            name = str(file) if relative.startswith("..") else relative
            self.locations[path] = f"{name}:{origin.line_num}" if origin.line_num else name


def resolver_of(host: str, task_vars: Mapping[str, Any], loader: Any) -> tuple[Mapping[str, Any], Resolver]:
    """Return the variables of a host as they are written, and what resolves them for it.

    Args:
        host: Inventory name.
        task_vars: Of an action.
        loader: Ansible's DataLoader.
    """
    variables = task_vars["hostvars"].raw_get(host)
    templar = Templar(loader=loader, variables={**variables, "hostvars": task_vars["hostvars"]})
    return variables, Resolver(templar.template, AnsibleError, AnsibleUndefinedVariable)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        text = "".join(value)
        return Hidden(text) if VaultHelper.get_ciphertext(value, with_tags=False) else text
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value
