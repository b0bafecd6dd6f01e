"""begin: may this deploy start, and is there anything to do?"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

from farrier_release import changed_settings, interpreter, processes
from farrier_release.application import Application
from farrier_release.config import Configuration
from farrier_release.errors import ConfigurationError, ReleaseError, UsageError
from farrier_release.reconcile import nobody_else, remove_leftovers
from farrier_release.releases import STAMP_PATTERN, VERSION_PATTERN
from farrier_release.state import Transaction
from farrier_release.storage import disk_used_bytes

_INODES_MIN = 20_000
# With this much free nobody needs to measure how large a release is.
_PLENTY_MB = 8192
_MEGABYTE = 1024 * 1024


def begin(
    application: Application,
    request: dict[str, Any],
    settings: dict[str, Any] | None = None,
    *,
    gone: str = "",
    check: bool = False,
) -> dict[str, Any]:
    """Take the lease for a deploy, unless what it asks for is live already.

    Args:
        application: what is deployed.
        request: `archive_sha256`, `version`, `project` (what the controller found in the source), `who`,
            `owner`, `fetch_seconds`, `inventory` (what it says of the app, to compare the host with), and
            `release_stamp`, a time such as 20261121T165606Z, where all hosts of a deploy are to
            use the same release id. With it the result has the host's `platform`. `wait_seconds`, how long
            the deploy may have to wait for the host's turn.
        settings: what of the inventory the deploy may change, see `changed_settings.compare`.
        gone: public id of a lease whose owner the caller found dead.
        check: only show what would be done.

    Raises:
        ReleaseError: busy, no space, or a host that is not ready.
    """
    started = time.time()
    if not VERSION_PATTERN.fullmatch(request["version"]):
        raise UsageError(
            f"{request['version']!r} cannot be part of a release's name: use letters, digits, . _ -"
        )
    stamp = request.get("release_stamp") or ""
    if stamp and not STAMP_PATTERN.fullmatch(stamp):
        raise UsageError(f"release_stamp is {stamp!r}: expected a time such as 20261121T165606Z.")
    check_host(application)
    compared = (request.get("inventory") or {}, settings or {})
    changes = changed_settings.compare(changed_settings.of_live(application), *compared)
    inputs = build_inputs(changed_settings.in_force(application, changes.record()), request)
    if not changes.keys and already_live(application, inputs):
        live = application.releases.live()
        return {
            "changed": False,
            "new": False,
            "release": live,
            "message": f"{live} was built from this very source and is already live.",
        }
    if check:
        return {
            "changed": True,
            "new": True,
            "release": None,
            "upload_to": str(archive_path(application, request["archive_sha256"])),
            "message": f"would deploy version {request['version']}{changed_settings.told(changes.record())}",
        }
    shared: dict[str, Any] = {}
    if stamp:
        requires = request["project"].get("requires_python") or ""
        shared["python"] = interpreter.describe(interpreter.choose(application, requires))
        shared["platform"] = interpreter.platform_of(shared["python"])
    with nobody_else(application, gone) as notes:
        remove_leftovers(application, keep_archive=archive_path(application, request["archive_sha256"]).name)
        check_space(application)
        # The end of the watch over the release before may have kept or dropped what that has brought.
        changes = changed_settings.compare(changed_settings.read_anew(application), *compared)
        now = time.time()
        transaction = Transaction(
            token=secrets.token_hex(16),
            what="deploy",
            who=request["who"],
            owner=request.get("owner") or {},
            release=application.releases.new_id(request["version"], stamp),
            origin=application.releases.live(),
            begun_at=now,
            seconds={"fetch": request.get("fetch_seconds", 0.0), "begin": round(time.time() - started, 3)},
            request={**request, "inputs": inputs, **shared},
            wait_seconds=float(request.get("wait_seconds") or 0),
            settings=changes.record(),
        )
        changed_settings.stage(application, transaction.release, changes)
        application.state.begin(transaction)
    return {
        "changed": True,
        "new": True,
        "token": transaction.token,
        "release": transaction.release,
        "from": transaction.origin,
        "platform": shared.get("platform"),
        "upload_to": str(archive_path(application, request["archive_sha256"])),
        "message": " ".join(
            [*notes, f"{transaction.release} will replace {transaction.origin or 'nothing'}."]
        ),
    }


def archive_path(application: Application, sha256: str) -> Path:
    """Where the source archive is expected."""
    return application.configuration.incoming_directory / f"{sha256}.tar.gz"


def build_inputs(application: Application, request: dict[str, Any]) -> dict[str, Any]:
    """Everything that a build depends on: equal inputs need no second build."""
    settings = application.configuration
    try:
        server = hashlib.sha256(settings.server_requirements.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigurationError(
            f"Cannot read the kit's own requirements: {error}",
            next_command="ansible-playbook farrier.kit.site",
        ) from None
    return {
        "archive_sha256": request["archive_sha256"],
        "subdir": settings.subdir,
        "python": settings.python,
        "server_requirements_sha256": server,
        **_hooks(settings),
        **{key: chosen for key in ("extras", "groups") if (chosen := request.get("project", {}).get(key))},
    }


def _hooks(settings: Configuration) -> dict[str, Any]:
    """The hooks of a build, and what they see of the application's environment."""
    hooks = [*settings.hooks.before_build, *settings.hooks.after_build]
    environment = json.dumps(settings.seen_by_builds, sort_keys=True)
    return {
        "build_hooks": hooks,
        **({"hook_environment_sha256": hashlib.sha256(environment.encode()).hexdigest()} if hooks else {}),
    }


def already_live(application: Application, inputs: dict[str, Any]) -> bool:
    """Whether the live release was built from these inputs, was found good, and is what runs."""
    live = application.releases.live()
    manifest = application.releases.manifest(live or "")
    if not manifest or manifest.get("inputs") != inputs or not manifest.get("verified_at"):
        return False
    transaction = application.state.read()
    # The undo of one that was watched moves the symlink first.
    if transaction and transaction.flip and (transaction.phase != "watch" or transaction.release != live):
        return False
    if not application.configuration.web:
        return not processes.problem(application, live or "")
    state = application.host.show(application.configuration.service, "ActiveState")
    return state.get("ActiveState") == "active"


def check_host(application: Application) -> None:
    """Check that `site.yml` has prepared this host for the application.

    Raises:
        ConfigurationError: something is missing.
    """
    settings = application.configuration
    needed = [
        settings.releases_directory,
        settings.uv,
        settings.gunicorn_settings,
        settings.server_requirements,
    ]
    missing = [str(path) for path in needed if not path.exists()]
    if missing:
        raise ConfigurationError(
            f"This host is not ready for {settings.name}: {', '.join(missing)} missing.",
            next_command="ansible-playbook farrier.kit.site",
        )
    for user in (settings.user, settings.build_user):
        if not application.host.has_user(user):
            raise ConfigurationError(
                f"This host has no user {user}.", next_command="ansible-playbook farrier.kit.site"
            )
    state = application.host.show(settings.service, "LoadState", "LoadError") if settings.web else {}
    if settings.web and state.get("LoadState") != "loaded":
        raise ConfigurationError(
            f"systemd cannot load {settings.service}: "
            f"{state.get('LoadError') or state.get('LoadState') or 'no answer'}",
            next_command="ansible-playbook farrier.kit.site",
        )


def check_space(application: Application) -> None:
    """Check that a release like the live one fits on the disk.

    Raises:
        ReleaseError: it does not.
    """
    settings = application.configuration
    status = os.statvfs(settings.releases_directory)
    free_mb = status.f_bavail * status.f_frsize // _MEGABYTE
    needed_mb = settings.free_disk_min_mb
    live = application.releases.live()
    if live and free_mb < _PLENTY_MB:
        needed_mb += disk_used_bytes(settings.release_directory(live)) // _MEGABYTE
    short = ""
    if free_mb < needed_mb:
        short = f"{free_mb} MB free, {needed_mb} MB needed"
    elif status.f_files and status.f_favail < _INODES_MIN:
        short = f"{status.f_favail} inodes free, {_INODES_MIN} needed"
    if short:
        raise ReleaseError(
            f"The disk of {settings.releases_directory} is full: {short}. Nothing was changed.",
            next_command=f"du -sh {settings.root}/* {settings.python_directory}/* /var/log; free space, "
            f"lower keep_releases, or empty uv's cache ({settings.cache_directory})",
        )


def describe_owner(transaction: Transaction) -> dict[str, Any]:
    """What a caller needs to find out whether the holder of the lease is alive."""
    return {"id": transaction.public_id(), "owner": transaction.owner, "who": transaction.who}
