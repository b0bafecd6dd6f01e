"""What the application brings, what the kit adds, what nobody has tested."""

from __future__ import annotations

from pathlib import Path

from farrier_release.server_packages import installed_packages, missing_requirements, unsupported

REQUIREMENTS = """\
# made by a tool
click==8.1 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via uvicorn
gunicorn==27.0.1 ; sys_platform != 'win32' \\
    --hash=sha256:cc
uvicorn-worker==0.4.0 \\
    --hash=sha256:dd
"""


def test_only_what_is_missing_is_added() -> None:
    """With its hashes and markers, whatever way the names are written."""
    missing = missing_requirements(REQUIREMENTS, {"click", "uvicorn-worker"})
    assert list(missing) == ["gunicorn"]
    assert missing["gunicorn"].startswith("gunicorn==27.0.1 ; sys_platform")
    assert "--hash=sha256:cc" in missing["gunicorn"]
    assert missing_requirements(REQUIREMENTS, {"click", "gunicorn", "uvicorn-worker"}) == {}


def test_one_package_may_have_a_version_for_each_implementation() -> None:
    """Whichever does not fit is left out by its marker, at the installation."""
    lines = "cbor2==5.9 ; platform_python_implementation == 'PyPy'", "cbor2==6.3 ; python_version > '3'"
    assert missing_requirements("\n".join(lines), set()) == {"cbor2": "\n".join(lines)}


def test_an_application_with_its_own_uvicorn_gets_no_accelerators() -> None:
    """It has left them out of its lock file, and may have its reasons."""
    requirements = "uvicorn==0.54.0\nuvloop==0.21\ngunicorn==27.0.1\n"
    assert list(missing_requirements(requirements, set())) == ["uvicorn", "uvloop", "gunicorn"]
    assert list(missing_requirements(requirements, {"uvicorn"})) == ["gunicorn"]


def test_installed_packages_are_read_from_their_metadata(tmp_path: Path) -> None:
    """Normalised: wheels write uvicorn_worker, requirements uvicorn-worker."""
    packages = tmp_path / "lib" / "python3.13" / "site-packages"
    (packages / "uvicorn_worker-0.4.0.dist-info").mkdir(parents=True)
    (packages / "Jinja2-3.1.dist-info").mkdir()
    (packages / "not_a_package").mkdir()
    assert installed_packages(tmp_path) == {"jinja2": "3.1", "uvicorn-worker": "0.4.0"}


def test_versions_outside_the_tested_range_are_named() -> None:
    """First included, end excluded, numbers compared as numbers."""
    supported = {"uvicorn": ("0.54", "0.55")}
    assert unsupported({"uvicorn": "0.54.0"}, supported) == ""
    assert unsupported({"uvicorn": "0.54.12.post1"}, supported) == ""
    assert "uvicorn 0.9.1" in unsupported({"uvicorn": "0.9.1"}, supported)
    assert "uvicorn 0.55" in unsupported({"uvicorn": "0.55"}, supported)
    assert "uvicorn is missing" in unsupported({}, supported)
