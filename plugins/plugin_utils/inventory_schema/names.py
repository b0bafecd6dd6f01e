"""Which names an app, a domain and an environment variable may have."""

from __future__ import annotations

import ipaddress
import re

from .mistakes import MistakeError

# `<name>-build` is a user too, and useradd takes at most 32 characters.
APP_NAME_MAX_LENGTH = 26
APP_NAME_FORM = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
KIT_SUFFIXES = ("-build", "-rehearsal", "-stand-in", "-transaction")

# Users, groups and units of Debian and of what Farrier installs: an app's own carry its name.
_NAMES_OF_THE_SYSTEM = """
acme adm admin ansible app apt audio avahi backup bin bluetooth cdrom certbot chrony common-session console
cron crontab daemon dbus debian default dialout dip disk dnsmasq docker dovecot exim farrier fax floppy
games getty git gnats gunicorn halt haproxy input irc journal kmem kvm list lp mail mail-spool man mariadb
memcached messagebus mysql netdev network networking news nftables nginx nobody nogroup ntp ntpsec operator
pebble plugdev polkitd postfix postgres postgresql poweroff proxy rabbitmq reboot redis render rescue root
rsyslog sasl sgx shadow sockets src ssh sshd sshd-keygen staff statd sudo sync sys syslog systemd tape
tcpdump tls tmpfiles tty ubuntu udev unattended-upgrades users utmp uucp uvicorn vagrant video voice www-data
"""
RESERVED_APP_NAMES = frozenset(_NAMES_OF_THE_SYSTEM.split())

# Databases and roles of PostgreSQL, which an app's own would have to share.
RESERVED_DATABASE_NAMES = frozenset({"none", "public", "template0", "template1"})

DOMAIN_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_SYSTEMD = "set by systemd for the service"
_GUNICORN = "read by gunicorn, whose settings are Farrier's"
_FARRIER = "set by Farrier"
RESERVED_ENVIRONMENT_NAMES = {
    "RELEASE_ID": _FARRIER,
    "PYTHONPATH": _FARRIER,
    "PYTHONHOME": _FARRIER,
    "GUNICORN_CMD_ARGS": _GUNICORN,
    "GUNICORN_FD": _GUNICORN,
    "GUNICORN_PID": _GUNICORN,
    "FORWARDED_ALLOW_IPS": _GUNICORN,
    "WEB_CONCURRENCY": _GUNICORN,
    "SERVER_SOFTWARE": _GUNICORN,
    "CACHE_DIRECTORY": _SYSTEMD,
    "CONFIGURATION_DIRECTORY": _SYSTEMD,
    "CREDENTIALS_DIRECTORY": _SYSTEMD,
    "HOME": _SYSTEMD,
    "INVOCATION_ID": _SYSTEMD,
    "JOURNAL_STREAM": _SYSTEMD,
    "LOGNAME": _SYSTEMD,
    "LOGS_DIRECTORY": _SYSTEMD,
    "MAINPID": _SYSTEMD,
    "NOTIFY_SOCKET": _SYSTEMD,
    "RUNTIME_DIRECTORY": _SYSTEMD,
    "SHELL": _SYSTEMD,
    "STATE_DIRECTORY": _SYSTEMD,
    "SYSTEMD_EXEC_PID": _SYSTEMD,
    "USER": _SYSTEMD,
}
RESERVED_ENVIRONMENT_PREFIXES = {
    "FARRIER_": _FARRIER,
    "LISTEN_": _SYSTEMD,
    "MEMORY_PRESSURE_": _SYSTEMD,
    "WATCHDOG_": _SYSTEMD,
}


def app_name(value: str) -> str:
    """Return the name if a user, units and directories can carry it; raise :class:`MistakeError` if not."""
    if not APP_NAME_FORM.fullmatch(value):
        suggestion = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-0123456789")
        raise MistakeError(
            "is not a name for an app",
            "lowercase letters, digits and single hyphens, beginning with a letter"
            + (f", as in {suggestion}" if suggestion else ""),
        )
    if len(value) > APP_NAME_MAX_LENGTH:
        raise MistakeError(
            f"has {len(value)} characters",
            f"use at most {APP_NAME_MAX_LENGTH}: the user <name>-build must stay within Linux's 32",
        )
    if value in RESERVED_APP_NAMES or value.startswith(("systemd-", "farrier-")):
        raise MistakeError(
            "is the name of a user, group or unit of the system",
            f"choose another, as in {value}-site, since the app's user and units carry its name",
        )
    for suffix in KIT_SUFFIXES:
        if value.endswith(suffix):
            raise MistakeError(
                f"ends in {suffix}, which Farrier appends to app names for users and units of its own",
                f"choose another, as in {value.removesuffix(suffix)}",
            )
    return value


def process_name(value: str) -> str:
    """Return the name if `<app>-<name>` can be a unit; raise :class:`MistakeError` if not."""
    if not APP_NAME_FORM.fullmatch(value) or len(value) > APP_NAME_MAX_LENGTH:
        raise MistakeError(
            "is not a name for a process or timer",
            f"at most {APP_NAME_MAX_LENGTH} lowercase letters, digits and single hyphens, a letter first",
        )
    if f"-{value}".endswith(KIT_SUFFIXES):
        raise MistakeError(
            "is what Farrier calls a unit of its own", f"choose another, as in {value}-process"
        )
    return value


def domain(value: str) -> str:
    """Return the hostname or wildcard if a certificate can bear it; raise :class:`MistakeError` if not."""
    if not value.startswith("*"):
        return hostname(value)
    if not value.startswith("*."):
        raise MistakeError("is not a wildcard", "write *. and a name, as in *.example.org")
    try:
        hostname(value.removeprefix("*."))
    except MistakeError as error:
        raise MistakeError(f"is a wildcard below a name that {error.what}", f"below *. {error.fix}") from None
    return value


def is_wildcard(value: str) -> bool:
    """Tell whether a text is a sound wildcard."""
    try:
        return domain(value).startswith("*.")
    except MistakeError:
        return False


def hostname(value: str) -> str:
    """Return the name if a certificate can be issued for it alone; raise :class:`MistakeError` if not."""
    bare = value.strip().lower()
    if "://" in value:
        raise MistakeError(
            "is a URL", f"write the hostname alone: {re.split('[/:]', bare.split('://', 1)[1])[0]}"
        )
    try:
        ipaddress.ip_address(bare.strip("[]"))
    except ValueError:
        pass
    else:
        raise MistakeError("is an IP address", "write a hostname that resolves to it")
    if re.fullmatch(r"[^:]+:\d+", bare):
        raise MistakeError("has a port", f"write the hostname alone: {bare.split(':')[0]}")
    if bare.endswith("."):
        raise MistakeError("ends with a dot", f"write {bare.rstrip('.')}")
    if bare != value:
        raise MistakeError("has uppercase letters or spaces", f"write {bare}")
    if not value.isascii():
        raise MistakeError("is not ASCII", f"write its encoded form{_punycode(value)}")
    if "_" in value:
        raise MistakeError(
            "has an underscore, which hostnames may not have", f"write {value.replace('_', '-')}"
        )
    if "." not in value:
        raise MistakeError(
            "has no dot, and no authority certifies such a name", f"write it in full: {value}.example.org"
        )
    labels = value.split(".")
    if len(value) > 253 or not all(DOMAIN_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise MistakeError(
            "is not a hostname",
            "write labels of lowercase letters, digits and inner hyphens, joined by dots: www.example.org",
        )
    return value


def _punycode(value: str) -> str:
    try:
        return f": {value.encode('idna').decode()}"
    except UnicodeError:
        return ", which begins with xn--"


def environment_name(value: str) -> str:
    """Return the name if the app may have a variable of this name; raise :class:`MistakeError` if not."""
    if not ENVIRONMENT_NAME.fullmatch(value):
        suggestion = re.sub(r"[^A-Za-z0-9_]+", "_", value).strip("_").lstrip("0123456789").upper()
        raise MistakeError(
            "is not the name of an environment variable",
            "letters, digits and underscores, not beginning with a digit"
            + (f", as in {suggestion}" if suggestion else ""),
        )
    reason = RESERVED_ENVIRONMENT_NAMES.get(value)
    for prefix, prefix_reason in RESERVED_ENVIRONMENT_PREFIXES.items():
        if value.startswith(prefix):
            reason = prefix_reason
    if reason:
        raise MistakeError(f"is {reason}", f"remove it, or name your own variable differently: APP_{value}")
    return value
