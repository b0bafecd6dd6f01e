"""Turn what pydantic found into problems that say app, key, value and fix."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from . import names
from .mistakes import Hidden, MistakeError, Problem, Unresolved
from .model import App, Needs

Path = tuple[str | int, ...]

# Keys whose values, and all below them, no message shows.
SECRETS = {
    *("secrets", "users", "backup_passphrase"),
    *("webhook_url", "slack_url", "mail_password", "monitoring_heartbeat_url"),
}
_SHOWN_LENGTH = 80
_OF_A_WEB_PROCESS = ("module", "path", "static", "app_paths", "media", "health_path")
_TYPE_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a decimal number",
    str: "text",
    list: "a list",
    dict: "a mapping",
    type(None): "empty",
}
_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


def app_problems(raw: object, index: int) -> list[Problem]:
    """Check one entry of `apps`.

    Args:
        raw: The entry as resolved from the inventory.
        index: Its place in the list, from 0; used where it has no usable name.
    """
    subject = subject_of(raw, index)
    return [
        *model_problems(subject, App, raw),
        *_web_problems(subject, raw),
        *_wildcard_problems(subject, raw),
        *_empty_needs(subject, raw),
    ]


def model_problems(subject: str, model: type[BaseModel], raw: object) -> list[Problem]:
    """Check values against a model.

    Args:
        subject: Names whose values they are.
        model: One of the contract.
        raw: The values by key.
    """
    try:
        model.model_validate(raw)
    except ValidationError as error:
        return [_problem(subject, model, details) for details in error.errors(include_url=False)]
    return []


def subject_of(raw: object, index: int) -> str:
    """Name an entry of `apps` in a message."""
    name = raw.get("name") if isinstance(raw, Mapping) else None
    return f"app {name}" if isinstance(name, str) and name else f"apps[{index}]"


def dotted(path: Path) -> str:
    """Write the path of a key as in "hooks.after_build[0]"."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: object, path: Path) -> str:
    """Write a value for a message, unless it may be secret; then ""."""
    is_secret = not SECRETS.isdisjoint(path)
    is_secret = is_secret or (path[:1] == ("env",) and isinstance(value, str))
    if isinstance(value, Hidden) or is_secret:
        return ""
    if isinstance(value, str):
        text = re.sub(r"://[^/\s]*@", "://…@", value)
        text = re.sub(r"(://[^\s?]*\?)\S+", r"\1…", text)
        text = text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…"
        return json.dumps(text, ensure_ascii=False)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return ""


def suggestion(wrong: str, known: list[str]) -> str:
    """Return the known name that was probably meant, or ""."""
    return next(iter(difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)), "")


def _web_problems(subject: str, raw: object) -> list[Problem]:
    """Find what an app with domains lacks, and what one without cannot use."""
    if not isinstance(raw, Mapping):
        return []
    if raw.get("domains"):
        needed = {} if "module" in raw else {"module": "is missing"}
    elif raw.get("processes") or raw.get("timers"):
        defaults = {
            key: App.model_fields[key].get_default(call_default_factory=True) for key in _OF_A_WEB_PROCESS
        }
        given = [key for key, default in defaults.items() if raw.get(key, default) != default]
        fix = "add domains, or remove it from an app that is a worker or a bot alone"
        return [Problem(subject, key, "", "is of no use without domains", fix) for key in given]
    else:
        needed = {"domains": "is empty" if "domains" in raw else "is missing"}
    alone = "; or processes, if it is a worker or a bot alone" if "domains" in needed else ""
    return [
        Problem(subject, key, "", what, f"add {_example_of(App, (key,))}{alone}")
        for key, what in needed.items()
    ]


def _empty_needs(subject: str, raw: object) -> list[Problem]:
    """Find needs without a value, which may be meant as none or as one with the defaults."""
    needs = raw.get("needs") if isinstance(raw, Mapping) else None
    return [
        Problem(subject, f"needs.{name}", "", "has no value", f"write {name}: {{}}, or remove it")
        for name, value in (needs.items() if isinstance(needs, Mapping) else ())
        if value is None and name in Needs.model_fields
    ]


def _wildcard_problems(subject: str, raw: object) -> list[Problem]:
    """Find wildcards that the app's certificate cannot have, and one where a single name is needed."""
    domains = raw.get("domains") if isinstance(raw, Mapping) else None
    certificate = raw.get("certificate") if isinstance(raw, Mapping) else None
    chosen = certificate if isinstance(certificate, Mapping) else {}
    possible = chosen.get("source", "acme") != "acme" or chosen.get("challenge") == "dns"
    problems = []
    for position, domain in enumerate(domains if isinstance(domains, list) else []):
        if not isinstance(domain, str) or not names.is_wildcard(domain):
            continue
        key, value = f"domains[{position}]", shown(domain, ("domains", position))
        if not possible:
            what = "is a wildcard, and HTTP challenges cannot prove wildcards"
            fix = (
                "list each hostname; or prove it by DNS, certificate: {challenge: dns}; "
                "or bring a certificate, certificate: {source: files, …}, see docs/tls.md"
            )
            problems.append(Problem(subject, key, value, what, fix))
        if position == 0:
            what = "is a wildcard, and the kit checks the app by its first domain"
            fix = f"put a single name first, as in {domain.removeprefix('*.')}"
            problems.append(Problem(subject, key, value, what, fix))
    return problems


def _problem(subject: str, model: type[BaseModel], details: Any) -> Problem:
    path: Path = tuple(details["loc"])
    of_key = path[-1:] == ("[key]",)
    path = path[:-1] if of_key else path
    value = details["input"]
    kind = details["type"]
    text = shown(value, path)
    if kind == "extra_forbidden":
        text, (what, fix) = "", _unknown_key(model, path)
    elif isinstance(value, Unresolved):
        what, fix = value.what, value.fix
    elif kind == "missing":
        text, what, fix = "", "is missing", f"add {_example_of(model, path)}"
    elif isinstance(mistake := details.get("ctx", {}).get("error"), MistakeError):
        what, fix = mistake.what, mistake.fix
    elif kind in _WANTED:
        what, fix = _wrong_type(kind, model, path, value, of_key)
    else:
        what, fix = _outside_limit(kind, model, path, details)
    if of_key:
        text = ""
    return Problem(subject, dotted(path), text, what, fix)


def _unknown_key(root: type[BaseModel], path: Path) -> tuple[str, str]:
    model = _model_at(root, path[:-1])
    known = sorted(model.model_fields)
    meant = suggestion(str(path[-1]), known)
    fix = f"did you mean {meant}?" if meant else f"the keys here are {', '.join(known)}"
    return "is an unknown key", fix


def _wrong_type(
    kind: str, model: type[BaseModel], path: Path, value: object, of_key: bool
) -> tuple[str, str]:
    key = str(path[-1]) if path else "apps"
    actual = _TYPE_NAMES.get(type(value), "text" if isinstance(value, str) else type(value).__name__)
    wanted = _WANTED[kind]
    if of_key:
        return f"has a name that YAML reads as {actual}", f'put the name in quotes: "{key}"'
    if actual == "empty":
        empty = f', or {key}: "" for an empty text' if wanted == "text" else ""
        return "has no value", f"write {_example_of(model, path)}{empty}"
    what = f"is {actual}, not {wanted}"
    if wanted == "text" and isinstance(value, bool | int | float):
        return what, f'put it in quotes as you want it, {key}: "…"; in a template add `| string`'
    if wanted == "a list" and isinstance(value, str):
        return what, f"write {key}: [{shown(value, path) or '…'}]"
    conversion = {"a whole number": "int", "a number": "float", "true or false": "bool"}.get(wanted)
    if conversion and isinstance(value, str):
        return what, f"write it without quotes; in a template add `| {conversion}`"
    return what, f"write {_example_of(model, path)}"


def _outside_limit(kind: str, model: type[BaseModel], path: Path, details: Any) -> tuple[str, str]:
    key, limits = path[-1], details["ctx"]
    if kind == "too_short":
        return "is empty", f"write {_example_of(model, path)}"
    if kind == "greater_than_equal":
        return f"is below {limits['ge']}", f"write {key}: {limits['ge']}, or more"
    if kind == "less_than_equal":
        return f"is above {limits['le']}", f"write {key}: {limits['le']}, or less"
    choices = limits["expected"].replace("'", "")
    return f"is not {choices}", f"write {_example_of(model, path)}"


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel]:
    """The model whose keys are at a path; a part may name an entry in a mapping or a list of models."""
    parts = iter(path)
    for part in parts:
        annotation = _given(model.model_fields[str(part)].annotation)
        if get_origin(annotation) in (dict, list):
            next(parts)
            annotation = get_args(annotation)[-1]
        assert isinstance(annotation, type)
        model = annotation
    return model


def _given(annotation: Any) -> Any:
    """The type of a key that may be left out."""
    return next(iter(get_args(annotation)), None) if get_origin(annotation) is UnionType else annotation


def _example_of(model: type[BaseModel], path: Path) -> str:
    """Return "key: example" of the nearest declared key."""
    example = ""
    parts = iter(path)
    for part in parts:
        field = model.model_fields.get(str(part))
        if field is None or not field.examples:
            break
        example = f"{part}: {json.dumps(field.examples[0], ensure_ascii=False)}"
        annotation: Any = _given(field.annotation)
        if get_origin(annotation) in (dict, list):
            next(parts, None)
            annotation = get_args(annotation)[-1]
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        model = annotation
    return example or "name: … and the keys of docs/inventory.md"
