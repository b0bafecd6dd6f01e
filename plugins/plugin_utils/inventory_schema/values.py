"""Which values the keys of an app may have, beyond their type."""

from __future__ import annotations

import ipaddress
import re
import shlex
from typing import Literal

from .mistakes import MistakeError

PYTHON_OLDEST = (3, 11)
PYTHON_VERSION = re.compile(r"3\.(\d+)(\.\d+)?")
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\([^\n]*\))?")
URL_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
STATIC_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+/?")
RELATIVE_DIRECTORY = re.compile(r"[A-Za-z0-9._+@-]+(/[A-Za-z0-9._+@-]+)*/?")
GIT_ADDRESS = re.compile(r"(https?|ssh|git|file)://[^\s]+|[\w.-]+@[\w.-]+:[^\s]+|/[^\s]+")
GIT_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+@-]*")
DEBIAN_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
USER_NAME = re.compile(r"[A-Za-z0-9._@-]+")
PASSWORD_HASH = re.compile(r"\$(2[aby]|5|6|apr1|y)\$[A-Za-z0-9./$=,]+")
DEPENDENCY_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
URL_SCHEME = re.compile(r"[a-z][a-z0-9]*([+.-][a-z0-9]+)*")
SHA256 = re.compile(r"sha256:[0-9a-f]{64}")

# Words that a shell acts on. Within a word only what no path, address or option has.
_SHELL_WORD = re.compile(r"\|\|?|&&?|;;?|(\d*|&)(>>?|<<?)(&\d)?.*|[^'\"\\]*;|[^'\"]*(\$[A-Za-z_{(]|`).*")
_SHELL_START = re.compile(r"cd|export|source|\.|set|[A-Za-z_]\w*=.*")

WorkerPolicy = Literal["per_core", "double"]


def python_choice(value: str) -> str:
    """A version such as "3.13" or the absolute path of an interpreter."""
    if value.startswith("/"):
        return value
    version = PYTHON_VERSION.fullmatch(value)
    oldest = ".".join(map(str, PYTHON_OLDEST))
    if not version:
        raise MistakeError(
            "is neither a version nor an absolute path",
            'write a version, python: "3.13", or the absolute path of an interpreter on the host',
        )
    if (3, int(version[1])) < PYTHON_OLDEST:
        raise MistakeError("is too old for Farrier's worker", f'use "{oldest}" or newer')
    return value


def module_attribute(value: str) -> str:
    """The place of the application: pkg.mod:attr, or pkg.mod:function() for what a function returns."""
    if not MODULE.fullmatch(value):
        raise MistakeError(
            "is not of the form package.module:attribute",
            "name the module and the application in it, as in observatory.main:app",
        )
    return value


def url_path(value: str) -> str:
    """An absolute path of a URL, without query."""
    if not value.startswith("/"):
        raise MistakeError("does not begin with /", f"write /{value}")
    if not URL_PATH.fullmatch(value) or value.startswith("//"):
        raise MistakeError("is not the path of a URL", "write the path alone, without query, as in /healthz")
    return value


def static_prefix(value: str) -> str:
    """A URL prefix that nginx answers by itself."""
    if value.strip("/") == "":
        raise MistakeError("covers the whole site", "choose a prefix of its own, as in /static")
    if not value.startswith("/"):
        raise MistakeError("does not begin with /", f"write /{value}")
    if not STATIC_PREFIX.fullmatch(value) or ".." in value.split("/"):
        raise MistakeError(
            "is not a plain path of a URL", "write letters, digits, . _ ~ - and /, as in /static"
        )
    if f"{value}/".startswith("/.well-known/acme-challenge/"):
        raise MistakeError("is reserved for ACME challenges", "choose another prefix")
    return value


def edge_prefix(value: str) -> str:
    """A URL prefix for which nginx has rules, without the slash at its end; "/" alone is the whole site."""
    return value if value == "/" else static_prefix(value).rstrip("/")


def network(value: str) -> str:
    """An IP address or network."""
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        what = "is not an address or network"
        if "host bits set" in str(error):
            what = "has host bits set"
            raise MistakeError(what, f"write {ipaddress.ip_network(value, strict=False)}") from None
        raise MistakeError(what, "write as in 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32") from None
    return value


def reachable_address(value: str) -> str:
    """An IP address, in its usual form, at which another machine can reach a host."""
    fix = "write the address alone, as in 10.0.0.11 or fd00::11"
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise MistakeError("is not an IP address", fix) from None
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        raise MistakeError("reaches no other machine", fix)
    if address.version == 6 and address.is_link_local:
        raise MistakeError("works on one link only", fix)
    return str(address)


def user_name(value: str) -> str:
    """The name of somebody with a password for nginx."""
    if not USER_NAME.fullmatch(value):
        raise MistakeError("is not a user name", "write letters, digits, . _ @ and -")
    return value


def password_hash(value: str) -> str:
    """A password as crypt(3) keeps it."""
    if not PASSWORD_HASH.fullmatch(value):
        raise MistakeError(
            "is not the hash of a password", "write what `openssl passwd -6` prints, in quotes"
        )
    return value


def dependency_name(value: str) -> str:
    """The name of an extra or of a dependency group."""
    if not DEPENDENCY_NAME.fullmatch(value):
        raise MistakeError(
            "is not the name of an extra or group", "write letters, digits, . _ and -, as in prod"
        )
    return value


def relative_directory(value: str) -> str:
    """A directory inside the release, which it cannot leave."""
    if value.startswith("/") or ".." in value.split("/"):
        raise MistakeError(
            "points outside the release",
            "write a path below the top of the source, as in services/web",
        )
    if not RELATIVE_DIRECTORY.fullmatch(value):
        raise MistakeError(
            "is not a plain relative path", "write letters, digits, . _ + @ - and /, as in services/web"
        )
    return value


def debian_package(value: str) -> str:
    """The name of a package of Debian."""
    if not DEBIAN_PACKAGE.fullmatch(value):
        raise MistakeError(
            "is not the name of a package of Debian",
            "write the name alone, as `apt-cache search WORD` prints it",
        )
    return value


def url_scheme(value: str) -> str:
    """What stands before :// in a URL."""
    if not URL_SCHEME.fullmatch(value):
        fix = f"write {value.split(':')[0].lower()}" if "://" in value else "write as in postgresql+asyncpg"
        raise MistakeError("is not the scheme of a URL", fix)
    return value


def absolute_path(value: str) -> str:
    """A path on the controller, from the root."""
    if not value.startswith("/"):
        raise MistakeError(
            "is not absolute",
            'begin it with a directory that Ansible knows: "{{ inventory_dir }}/…"',
        )
    return value


def git_address(value: str) -> str:
    """A repository that git can clone without running a command of the address."""
    if not GIT_ADDRESS.fullmatch(value):
        raise MistakeError(
            "is not the address of a git repository",
            "write https://…, ssh://…, user@host:path or an absolute path on the controller",
        )
    return value


def git_version(value: str) -> str:
    """A branch, tag or commit, never an option."""
    if not GIT_VERSION.fullmatch(value) or ".." in value:
        raise MistakeError("is not a git reference", "write a tag, branch or commit, as in v1.4.0")
    return value


def archive_place(value: str) -> str:
    """A file on the controller or a URL."""
    if value.startswith(("https://", "http://")):
        return value
    if "://" in value:
        raise MistakeError("is a URL of an unsupported kind", "use https:// or an absolute path")
    return absolute_path(value)


def sha256(value: str) -> str:
    """A checksum with its algorithm."""
    if not SHA256.fullmatch(value):
        raise MistakeError(
            "is not a SHA-256 checksum",
            "write sha256: and the 64 hexadecimal digits that `sha256sum FILE` prints",
        )
    return value


def command(value: str) -> str:
    """A command line that can be split into words."""
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise MistakeError(f"cannot be split into words ({error})", "close every quote") from None
    if not words:
        raise MistakeError("is an empty command", "write a command or remove the entry")
    shells = [words[0]] if _SHELL_START.fullmatch(words[0]) else []
    # Without `posix`, words keep their quotes: what is quoted is meant for the program.
    shells += [word for word in shlex.split(value, posix=False) if _SHELL_WORD.fullmatch(word)]
    if shells:
        raise MistakeError(f"has {shells[0]}, but no shell runs it", f"write sh -c {shlex.quote(value)}")
    return value


def schedule(value: str) -> str:
    """A calendar expression in one line. Whether systemd understands it, the host says."""
    if not re.fullmatch(r"[ -~]+", value) or not value.strip():
        raise MistakeError("is not a calendar expression", "write one, as in daily or Mon *-*-* 03:30")
    return value


def no_null_character(value: str) -> str:
    """A text that the environment of a process can hold."""
    if "\0" in value:
        raise MistakeError(
            "contains a null character", "encode the value, as in base64, and decode it in the app"
        )
    return value


def worker_number(value: object) -> int | WorkerPolicy:
    """per_core, double, or a number from 1."""
    fix = "workers: per_core (one per core, at least 2), double (2n+1), or a number from 1"
    if value == "per_core" or value == "double":
        return "double" if value == "double" else "per_core"
    if isinstance(value, bool) or not isinstance(value, int):
        if isinstance(value, str) and value.isdigit():
            raise MistakeError("is text, not a number", f"write it without quotes: workers: {value}")
        raise MistakeError("is neither a number nor a policy", fix)
    if value < 1:
        raise MistakeError("is below 1", fix)
    return int(value)


def known_server(value: object) -> object:
    """No server that others write here: each is told what to write in its place."""
    if value in ("gthread", "sync", "waitress"):
        raise MistakeError("is a server for WSGI, which gunicorn's threads are here", "write interface: wsgi")
    return value
