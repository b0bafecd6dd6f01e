"""overlap: a second instance serves on the socket of the service while the service restarts.

The stand-in is a unit of its own, `APP-stand-in@RELEASE.service`, which systemd gives the same listening
socket. Nothing enables it or starts it again: after a boot or a crash the service alone serves.
"""

from __future__ import annotations

import time

from farrier_release.application import Application
from farrier_release.errors import ReleaseError
from farrier_release.probe import ask
from farrier_release.verify import VerificationError, wait_until
from farrier_release.workers import wrong_workers

_PROBE_TIMEOUT_SECONDS = 5
_GOOD_ANSWERS = 3
# The kernel gives each connection to whoever comes first: the stand-in, or the one that it stands in for.
_PROBES_MOST = 60


def start(application: Application) -> None:
    """Have the release that `current` points to serve beside the service.

    Raises:
        ReleaseError: it does not start, or does not answer as it should; it has been ended.
    """
    settings = application.configuration
    release = application.releases.live() or ""
    unit = settings.stand_in_unit_of(release)
    started = time.time()
    done = application.host.systemctl("start", unit, timeout_seconds=settings.service_timeout_seconds)
    try:
        if done.returncode != 0:
            raise VerificationError("it does not start")
        wait_until(lambda _: _fault(application, release), settings.verify_timeout_seconds)
    except VerificationError as error:
        log = application.host.journal(unit, since_seconds=started)
        end(application, release)
        raise ReleaseError(f"{unit}, which is to serve meanwhile, failed: {error}", log=log) from None


def wait_until_replaced(application: Application) -> None:
    """Wait until the service, which has been restarted, serves with all its workers.

    Raises:
        VerificationError: it does not; the stand-in goes on, since there is nobody else.
    """
    settings = application.configuration
    release = application.releases.live() or ""
    wait_until(lambda _: wrong_workers(settings.run_directory, release), settings.verify_timeout_seconds)


def end(application: Application, release: str = "*") -> None:
    """Have the stand-in of a release, or every one, drain and end in its own time."""
    application.host.systemctl("stop", "--no-block", application.configuration.stand_in_unit_of(release))


def _fault(application: Application, release: str) -> str:
    """Why the stand-in does not serve as it should, or ""."""
    settings = application.configuration
    fault = wrong_workers(settings.stand_in_directory / release, release)
    if fault:
        return fault
    good = 0
    for _ in range(_PROBES_MOST):
        answer = ask(
            settings.socket,
            settings.health_path,
            settings.health_host,
            timeout_seconds=_PROBE_TIMEOUT_SECONDS,
        )
        fault = answer.fault(release, settings.health_status)
        good += not fault
        if good == _GOOD_ANSWERS:
            return ""
        if fault and answer.release in ("", release):  # else the one beside it has answered
            break
    return f"{settings.health_path} over the socket {fault}"
