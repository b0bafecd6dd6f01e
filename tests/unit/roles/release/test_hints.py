"""What an operator is told to write when the sandbox or a missing package stops a release."""

from __future__ import annotations

import pytest
from farrier_release import hints


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("MemoryError: Cannot allocate write+execute memory for ffi.callback().", "sandbox: {jit: true}"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/proc/stat'", "sandbox: {proc: true}"),
        ("    code = mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)", "sandbox: {jit: true}"),
        ("PermissionError: [Errno 1] Operation not permitted", "an exception of `sandbox` may"),
        ("OSError: [Errno 97] Address family not supported by protocol", "sandbox: {netlink: true}"),
        ("could not open port /dev/ttyUSB0: No such file or directory", "sandbox: {devices: true}"),
        ("OSError: [Errno 30] Read-only file system: '/srv/shop/releases/1/logs'", "$STATE_DIRECTORY"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/proc/self/x'", ""),
        ("PermissionError: [Errno 13] Permission denied: '/dev/null'", ""),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'git'", "add packages: ["),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'settings'", ""),
        ("ModuleNotFoundError: No module named 'shop'", ""),
    ],
)
def test_the_sandbox_is_named_by_its_key(line: str, key: str) -> None:
    """A wrong hint costs more than none."""
    hint = hints.of_the_sandbox(["Started.", line, "Shutting down."])
    assert key in hint
    assert bool(hint) is bool(key)


@pytest.mark.parametrize(
    ("line", "is_known"),
    [
        ("OSError: [Errno 98] Address already in use", True),
        ('duckdb.IOException: IO Error: Could not set lock on file "/var/lib/farrier/shop/app.duckdb"', True),
        ("RuntimeError: Storage folder is already accessed by another instance of Qdrant client", True),
        ("OSError: [Errno 97] Address family not supported by protocol", False),
    ],
)
def test_two_copies_that_are_in_each_others_way(line: str, is_known: bool) -> None:
    """The fix is a key, not another release."""
    assert ("set handover: stop_first" in hints.of_two_copies(["Started.", line])) is is_known


@pytest.mark.parametrize(
    "line",
    [
        "KeyError: 'SECRET_KEY'",
        "django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty.",
        "secret_key",  # pydantic, above "Field required"
    ],
)
def test_a_build_that_asks_for_a_secret(line: str) -> None:
    """It gets none, whoever may write in a release; a value for the build alone does as well."""
    hint = hints.of_the_build(["Traceback", line], ["OTHER", "SECRET_KEY"])
    assert "after_build: [env SECRET_KEY=… COMMAND]" in hint
    assert hints.of_the_build(["Traceback", line], ["OTHER"]) == ""


@pytest.mark.parametrize(
    ("line", "packages"),
    [
        ("error: command 'gcc' failed: No such file or directory", "packages: [gcc, python3-dev]"),
        ("error: [Errno 2] No such file or directory: 'cc'", "packages: [gcc, python3-dev]"),
        ("Error: pg_config executable not found.", "packages: [libpq-dev, gcc, python3-dev]"),
        ("a.c:1:10: fatal error: Python.h: No such file or directory", "packages: [gcc, python3-dev]"),
        ("m.h:8:10: fatal error: lber.h: No such file or directory", "libldap-dev, libsasl2-dev"),
        ("x.c:3:10: fatal error: zbar.h: No such file or directory", "the Debian package that has zbar.h"),
        ("OSError: cannot load library 'libpango-1.0-0'", "the Debian package that has libpango-1.0-0"),
        ("ImportError: libGL.so.1: cannot open shared object file", "the Debian package that has libGL.so.1"),
        ("ResolutionImpossible: no version fits", ""),
    ],
)
def test_the_build_names_the_packages_that_it_lacks(line: str, packages: str) -> None:
    """As they are written in the inventory, so that pasting them works."""
    hint = hints.of_the_build(["Building wheel", line, "ERROR: Failed building wheel"])
    assert packages in hint
    assert bool(hint) is bool(packages)


def test_a_hook_of_the_build_may_be_what_is_wrong() -> None:
    """It is in the inventory, which only `site.yml` brings to the host."""
    hint = hints.of_the_build(["rm: no such file", "before_build: 'rm pages' failed (exit code 1)."])
    assert "or the hook in the inventory" in hint
    assert "farrier.kit.site first" in hint
    assert hints.of_the_build(["before_build: is a key", "uv sync failed (exit code 1)."]) == ""
