"""build: a release directory with source, virtual environment and manifest, beside the live one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from farrier_gunicorn.servers import SERVERS, WORKER_CLASSES

from farrier_release import completion, hints, interpreter
from farrier_release.application import Application
from farrier_release.begin import archive_path
from farrier_release.builder import BuildOrder, BuildReport
from farrier_release.errors import ReleaseError, UsageError
from farrier_release.host import Sandboxed
from farrier_release.seal import is_sealed, seal
from farrier_release.server_packages import unsupported
from farrier_release.state import Transaction
from farrier_release.storage import decode_object, read_json, remove_tree, sync_file_system, write_json

# What a build may not do to the host, whatever its build backends are made of.
SANDBOX = (
    "CapabilityBoundingSet=",
    "CPUWeight=50",
    "InaccessiblePaths=-/etc/farrier -/run/farrier -/var/lib/farrier -/var/log/farrier",
    "IOWeight=50",
    "LockPersonality=yes",
    "NoNewPrivileges=yes",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "ProtectControlGroups=yes",
    "ProtectHome=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProtectSystem=strict",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
)


def build(application: Application, transaction: Transaction) -> dict[str, Any]:
    """Build the transaction's release from the uploaded archive.

    Raises:
        ReleaseError: the build failed; nothing is left of it.
    """
    settings, releases = application.configuration, application.releases
    archive = archive_path(application, transaction.request["archive_sha256"])
    _check_archive(archive, transaction.request["archive_sha256"])
    project = transaction.request["project"]
    chosen = interpreter.choose(application, project.get("requires_python") or "")
    directory = settings.release_directory(transaction.release)
    live = releases.live()
    completed_by, constraints = completion.find(releases, project.get("lock", {}), chosen)
    order = BuildOrder(
        archive=str(archive),
        release_directory=str(directory),
        subdir=settings.subdir,
        project=project,
        python=chosen,
        uv=str(settings.uv),
        cache=str(settings.cache_directory),
        server_requirements=str(settings.server_requirements),
        supported={name: list(versions) for name, versions in _supported(application).items()},
        live_directory=str(settings.release_directory(live)) if live else "",
        environment=dict(settings.build_environment),
        hook_environment=settings.seen_by_builds,
        before_build=list(settings.hooks.before_build),
        after_build=list(settings.hooks.after_build),
        completed_by=completed_by,
        constraints=constraints,
        links=dict(settings.links),
    )
    started = time.time()
    _seal_the_others(application)
    _make_directories(application, directory, archive)
    with _cache_in_use(application):
        report = _run(application, order)
        if not report.error:
            began_to_seal = time.monotonic()
            seal(str(directory), order.live_directory)
            report.seconds["seal"] = round(time.monotonic() - began_to_seal, 3)
    if report.error:
        full = "No space left" in f"{report.error} {report.log}"
        hint = (
            f"df -h {settings.root}; du -sh {settings.root}/* {settings.python_directory}/*" if full else ""
        )
        raise ReleaseError(
            f"The build of {transaction.release} failed: {report.error}",
            log=report.log,
            next_command=hint
            or (_fit(application) if report.unsupported_server else "")
            or hints.of_the_build([*report.log, report.error], _secrets(application))
            or "correct the source and deploy again",
        )
    python = {"version": report.python_version, "executable": report.python_executable}
    record(application, transaction, python, report.packages, started)
    archive.unlink()
    added = report.server_packages
    completed = {
        "by": completed_by or transaction.release,
        "sha256": _open_list(project),
        "python": report.python_version,
        "packages": report.packages,
    }
    return {
        "changed": True,
        # For the other hosts of the fleet, and for later ones.
        "completion": completed if completed["sha256"] else None,
        "steps": report.seconds,
        "python": report.python_version,
        "server_packages": added,
        "message": f"{transaction.release} is built with Python {report.python_version}"
        + (f"; from the kit: {', '.join(added)}." if added else "."),
    }


def record(
    application: Application,
    transaction: Transaction,
    python: dict[str, str],
    packages: dict[str, str],
    began_at: float,
) -> None:
    """Write the manifest of the transaction's release, whose files are all on disk: from now on it counts.

    Args:
        application: whose release.
        transaction: of the deploy.
        python: `version` and `executable` of its interpreter.
        packages: names (normalised) and versions of what is installed.
        began_at: seconds since 1970.

    Raises:
        ReleaseError: the worker cannot work with its servers.
    """
    _check_server(application, packages)
    project = transaction.request["project"]
    application.releases.write_manifest(
        transaction.release,
        {
            "release": transaction.release,
            "version": transaction.request["version"],
            "package": project.get("package") if project.get("installable") else None,
            "inputs": transaction.request["inputs"],
            "lock_sha256": _open_list(project),
            "python": python,
            "platform": interpreter.platform_of(python),
            "packages": packages,
            "server": WORKER_CLASSES[_worker_class(application)].server,
            "built_at": began_at,
            "built_by": transaction.who,
        },
    )


def _secrets(application: Application) -> list[str]:
    """Names of the variables of which a build hook has none."""
    settings = application.configuration
    environment = read_json(settings.gunicorn_settings.with_name("environment.json")) or {}
    return [name for name in environment if name not in settings.seen_by_builds]


def _open_list(project: dict[str, Any]) -> str:
    """SHA-256 of a requirements.txt that may name a part of the packages only, or ""."""
    return str(project.get("lock", {}).get("sha256") or "")


def _check_server(application: Application, packages: dict[str, str]) -> None:
    """The servers that the application's lock file brings must be ones that the worker can work with."""
    fault = unsupported(packages, _supported(application))
    if fault:
        raise ReleaseError(
            f"The application's lock file does not fit: {fault}.", next_command=_fit(application)
        )


def _worker_class(application: Application) -> str:
    settings = read_json(application.configuration.gunicorn_settings) or {}
    return str(settings.get("worker_class", "handover"))


def _supported(application: Application) -> dict[str, tuple[str, str]]:
    """Name to the first version of a server that the worker can work with, and the first that not."""
    worker_class = WORKER_CLASSES[_worker_class(application)]
    if not application.configuration.web or not worker_class.hands_over:
        return {}
    return SERVERS[worker_class.server].supported


def _fit(application: Application) -> str:
    """What to do about a server that the worker cannot work with."""
    fix = "lock a supported version, or none to get the kit's"
    if WORKER_CLASSES[_worker_class(application)].server != "uvicorn":
        return fix
    return f"{fix}; or set worker_class: stock, and run ansible-playbook farrier.kit.site before the deploy"


def _check_archive(archive: Path, sha256: str) -> None:
    try:
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise UsageError(
            f"The source archive {archive} did not arrive on this host.", next_command="deploy again"
        ) from None
    if found != sha256:
        raise UsageError(
            f"{archive} was damaged in transit: its SHA-256 is {found}.", next_command="deploy again"
        )


def _make_directories(application: Application, directory: Path, archive: Path) -> None:
    """The release's directory stays root's, so that no build reaches its manifest; what is in it does not."""
    user = application.configuration.build_user
    directory.mkdir(mode=0o755)
    for name in ("source", ".venv"):
        (directory / name).mkdir(mode=0o755)
        application.host.give(directory / name, user, user)
    archive.chmod(0o640)
    application.host.give(archive, "root", user)


def _seal_the_others(application: Application) -> None:
    """Releases of an earlier version of this tool are still the build user's."""
    for release in application.releases.all():
        directory = str(application.configuration.release_directory(release))
        if os.path.lexists(f"{directory}/.venv") and not is_sealed(f"{directory}/.venv"):
            seal(directory)


@contextlib.contextmanager
def _cache_in_use(application: Application) -> Iterator[None]:
    """All that is written here, uv's cache too, is on disk in the end; a cache of which that is unknown goes.

    Builds trust the cache, but a power cut leaves files in it that are empty.
    """
    settings = application.configuration
    marker = settings.root / ".cache-in-use.json"
    boot = {"boot_id": Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()}
    if marker.exists() and read_json(marker) != boot:
        application.say("the power failed during a build: uv's cache is emptied")
        for path in settings.cache_directory.iterdir():
            remove_tree(path) if path.is_dir() else path.unlink()
    write_json(marker, boot, durable=True)
    try:
        yield
    finally:
        sync_file_system(settings.root)
        marker.unlink()


def _run(application: Application, order: BuildOrder) -> BuildReport:
    settings = application.configuration
    others = [name for name in application.releases.all() if name != Path(order.release_directory).name]
    protected = " ".join(str(settings.release_directory(name)) for name in others)
    done = application.host.run_sandboxed(
        Sandboxed(
            unit=application.build_unit,
            user=settings.build_user,
            command=[sys.executable, "-m", "farrier_release.builder"],
            directory=settings.library_directory,
            properties=[
                *SANDBOX,
                f"ReadWritePaths={settings.root}",
                *([f"ReadOnlyPaths={protected}"] if protected else []),
            ],
            environment={"PYTHONDONTWRITEBYTECODE": "1"},
            stdin=json.dumps(asdict(order)),
            keep_stdout=True,
            show=application.masking.text,
            timeout_seconds=settings.build_timeout_seconds,
        )
    )
    try:
        report = BuildReport.from_dict(decode_object(done.stdout))
    except ValueError:
        limit = settings.build_timeout_seconds
        return BuildReport(f"it was stopped before it finished (time limit {limit} s).", done.tail)
    return report
