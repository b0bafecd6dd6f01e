"""What the controller needs besides ansible-core, checked before anything of it is imported."""

from __future__ import annotations

import sys
from importlib import metadata

from ansible.errors import AnsibleError

PYDANTIC_OLDEST = (2, 11)


def check() -> None:
    """Check that pydantic can be used.

    Raises:
        AnsibleError: It is not installed in the Python that runs Ansible, or too old.
    """
    try:
        import pydantic  # noqa: F401 - metadata alone would not know that it cannot be imported

        version = metadata.version("pydantic")
        if tuple(map(int, version.split(".")[:2])) >= PYDANTIC_OLDEST:
            return
        state = f"is {version}"
    except ImportError:
        state = "is not installed"
    oldest = ".".join(map(str, PYDANTIC_OLDEST))
    raise AnsibleError(
        f"farrier.kit needs the Python package pydantic, {oldest} or later, where Ansible runs, "
        f"and it {state}. Install it: {sys.executable} -m pip install 'pydantic>={oldest}'"
    )


check()
