"""The inventory variables of a fleet: how its hosts get a release, and where they reach each other."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, field_validator

from . import values
from .batches import Share, batch, minimum, number_in
from .mistakes import MistakeError
from .model import Strict, key

Batch = Annotated[Share, BeforeValidator(batch)]


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


class Fleet(Strict):
    """Variables of hosts, not keys of an app. All but `private_address` are the same for all app hosts."""

    release_batches: Annotated[list[Batch], BeforeValidator(_as_list)] = key(
        "App hosts that get a release at a time. The last entry repeats. The first batch is the canary.",
        "number, percentage or list of those",
        [1, "25%"],
        [1, "100%"],
        min_length=1,
    )
    release_on_failure: Literal["rollback", "hold"] = key(
        "After a failure, hosts with the new release roll back (`rollback`), or keep it (`hold`).",
        "rollback or hold",
        "hold",
        "rollback",
    )
    release_soak_seconds: Annotated[int, BeforeValidator(number_in)] = key(
        "How long each batch except the last is watched before the next one begins.",
        "number of seconds",
        60,
        0,
        ge=0,
    )
    release_error_percent_max: Annotated[float | None, BeforeValidator(number_in)] = key(
        "Highest share of 5xx answers for the app while a batch is watched. Unset: any share.",
        "number from 0 to 100",
        1,
        None,
        ge=0,
        le=100,
    )
    release_min_serving_hosts: Annotated[Share, BeforeValidator(minimum)] = key(
        "App hosts of an app that must serve while others restart. A single app host is never drained.",
        "number or percentage",
        "50%",
        1,
    )
    private_address: Annotated[str, AfterValidator(values.reachable_address)] | None = key(
        "Address at which other hosts reach this host. Unset: `ansible_host`, if that is an IP address.",
        "IP address",
        "10.0.0.11",
        None,
    )

    @field_validator("release_error_percent_max")
    @classmethod
    def _watched(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("release_soak_seconds") == 0:
            raise MistakeError(
                "is never checked, because release_soak_seconds is 0",
                "write release_soak_seconds: 60, or remove release_error_percent_max",
            )
        return value


def private_address(host: str, variables: Mapping[str, Any]) -> str:
    """Return the IP address at which other hosts reach a host.

    Args:
        host: Its name in the inventory, which Ansible connects to unless `ansible_host` is set.
        variables: Its variables.

    Raises:
        MistakeError: It has none of use.
    """
    given = variables.get("private_address")
    if given is not None:
        return values.reachable_address(str(given))
    reached_at = str(variables.get("ansible_host", host))
    try:
        return values.reachable_address(reached_at)
    except MistakeError as mistake:
        raise MistakeError(
            f"is not set, and {reached_at}, where Ansible reaches the host, {mistake.what}",
            "set it for this host, as in private_address: 10.0.0.11",
        ) from None


def resolved_address(host: str, variables: Mapping[str, Any]) -> str:
    """Return the IP address of a host as `private_address` does, or else what its name resolves to here.

    nginx would refuse all of its configuration for a name that it cannot resolve, as an alias of SSH's is.

    Raises:
        MistakeError: There is none of use.
    """
    try:
        return private_address(host, variables)
    except MistakeError as mistake:
        if variables.get("private_address") is not None:
            raise
        try:
            found = socket.getaddrinfo(
                str(variables.get("ansible_host", host)), None, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError):
            raise mistake from None
        for address in sorted({str(entry[4][0]) for entry in found}):
            with suppress(MistakeError):
                return values.reachable_address(address)
        raise
