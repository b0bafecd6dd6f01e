"""What nginx supports, from its build options, or from the version of apt's candidate."""

from __future__ import annotations

import re

CANDIDATE = re.compile(r"^ *Candidate: (?:\d+:)?(\d+(?:\.\d+)*)", re.MULTILINE)
HTTP3_SINCE = (1, 25)


def candidate(policy: str) -> str:
    """Return the version that apt would install, or "".

    Args:
        policy: What `apt-cache policy nginx` says, in English.
    """
    found = CANDIDATE.search(policy)
    return found[1] if found else ""


def has_http3(build: str, version: str) -> bool:
    """Tell whether nginx has HTTP/3, or would have it once it is installed.

    Of a package that is not there yet the version has to do: Debian's have it from the first that can.

    Args:
        build: What `nginx -V` says; "" where there is no nginx.
        version: What would be installed there; "" where apt knows none, and the installation will say so.
    """
    if build:
        return "--with-http_v3_module" in build.split()
    return not version or tuple(map(int, version.split("."))) >= HTTP3_SINCE
