"""What to write in the inventory when the sandbox stops a program, or a package of Debian is missing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_DOCUMENTED = "see docs/places.md"

# What a program says, and the fix. The last line that says something is the one that counts.
_SANDBOX = (
    (
        r"write\+execute memory|cannot enable executable stack|SELinux|mprotect.*(EPERM|not permitted)"
        r"|[Ff]ailed to (allocate|map).*execut|MAP_JIT|PROT_EXEC",
        "it makes code at run time: set sandbox: {jit: true}",
    ),
    (
        r"(No such file or directory|not found|cannot open|can't open).*/proc/(?!self|\d)\w"
        r"|/proc/(?!self|\d)\w\S*.*(No such file or directory|not found)",
        "it reads about the whole machine from /proc: set sandbox: {proc: true}",
    ),
    (
        r"Address family not supported by protocol|EAFNOSUPPORT|AF_NETLINK",
        "it asks the kernel for network interfaces: set sandbox: {netlink: true}",
    ),
    (
        r"(No such file or directory|not found|not permitted).*/dev/(?!shm|null|stdout|stderr)\w"
        r"|/dev/(?!shm|null|stdout|stderr)\w\S*.*(No such file or directory|not found|not permitted)",
        "it opens a device: set sandbox: {devices: true}",
    ),
    (
        r"\[Errno 2\] No such file or directory: '(git|ffmpeg|node|npm|pandoc|gs|convert|wkhtmltopdf)'",
        "it starts a program that the host lacks: add packages: [NAME OF ITS PACKAGE] to the app, run "
        "ansible-playbook farrier.kit.site",
    ),
    (
        r"Read-only file system|EROFS",
        "it writes beside its code: let it write below $STATE_DIRECTORY",
    ),
)
# The kernel's answer to what the unit does not allow; a file's permissions are errno 13.
_REFUSED = re.compile(r"\[Errno 1\]|\bEPERM\b|Operation not permitted|\bSIGSYS\b|Bad system call|code 159")
# A lock or a port that the live copy holds.
_TAKEN = re.compile(
    r"[Aa]ddress already in use|database is locked|Could not set lock|already (accessed|locked|running)"
    r"|BlockingIOError|Resource temporarily unavailable|[Cc]onflicting lock|terminated by other getUpdates"
)
_BUILD = (
    (r"pg_config executable not found", "libpq-dev, gcc, python3-dev"),
    (r"fatal error: Python\.h", "gcc, python3-dev"),
    (r"fatal error: (lber|ldap|sasl/?\w*)\.h", "gcc, python3-dev, libldap-dev, libsasl2-dev"),
    (
        r"mysql_config|[Cc]an not find valid pkg-config name",
        "gcc, python3-dev, pkg-config, default-libmysqlclient-dev",
    ),
    (r"fatal error: ffi\.h", "gcc, python3-dev, libffi-dev"),
    (r"libxml/\w+\.h|xml2-config|xslt-config", "gcc, python3-dev, libxml2-dev, libxslt1-dev"),
    (
        r"command '\S*(cc|\+\+|clang)' failed: No such file|No such file or directory: '\S*(cc|\+\+)'"
        r"|[Uu]nable to execute '?\S*(cc|\+\+)|[Nn]o working compiler found|Unknown compiler"
        r"|(cc|\+\+): not found",
        "gcc, python3-dev",
    ),
    (r"(cargo|rustc|Rust)\b.*(not found|not installed|No such file|not on PATH)", "cargo"),
    (r"\bpkg-config\b.*(not found|No such file)", "pkg-config"),
    (r"fatal error: (\S+\.h)", ""),
    (r"cannot load library '?([\w.+-]+)", ""),
    (r"([\w.+-]+): cannot open shared object file", ""),
)


def of_the_sandbox(lines: Iterable[str]) -> str:
    """Return what lets a program through that has said these lines, or "" where nothing is known."""
    said = list(lines)
    for line in reversed(said):
        for pattern, fix in _SANDBOX:
            if re.search(pattern, line):
                return f"{fix}, {_DOCUMENTED}"
    if any(map(_REFUSED.search, said)):
        return f"the sandbox does not let it do that; an exception of `sandbox` may, {_DOCUMENTED}"
    return ""


def of_two_copies(lines: Iterable[str]) -> str:
    """Return what to write where a program that has said these lines met another copy of itself, or ""."""
    if any(map(_TAKEN.search, lines)):
        return (
            "two copies of the app ran beside each other, as in each deploy. If only one may, set "
            "handover: stop_first and run ansible-playbook farrier.kit.site, see docs/deploy.md"
        )
    return ""


def of_the_build(lines: Iterable[str], secrets: Collection[str] = ()) -> str:
    """Return what helps a build that has said these lines: `packages`, a secret, a hook; "" if nothing.

    Args:
        lines: what it has said, its error last.
        secrets: names of variables that it does not see.
    """
    said = list(lines)
    for pattern, packages in _BUILD:
        for found in filter(None, (re.search(pattern, line) for line in said)):
            what = packages or f"the Debian package that has {found[1]}"
            return f"add packages: [{what}] to the app, run ansible-playbook farrier.kit.site, deploy again"
    for name in secrets:
        # pydantic says it in lower case, on a line of its own.
        if any(re.search(rf"\b{re.escape(name)}\b", line) or line.strip() == name.lower() for line in said):
            return (
                f"a build sees no `secrets`, and {name} is one: give its hook a value for the build alone, "
                f"after_build: [env {name}=… COMMAND], see docs/deploy.md"
            )
    if any(line.startswith(("before_build: ", "after_build: ")) for line in said[-1:]):
        return (
            "correct the source and deploy again; or the hook in the inventory, then run "
            "ansible-playbook farrier.kit.site first"
        )
    return ""
