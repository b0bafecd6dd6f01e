"""The inventory contract of one app: the one source of its keys, their types, defaults and meaning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from . import names, ports, values
from .mistakes import MistakeError

AppName = Annotated[str, AfterValidator(names.app_name)]
Domain = Annotated[str, AfterValidator(names.domain)]
EnvironmentName = Annotated[str, AfterValidator(names.environment_name)]
EnvironmentValue = Annotated[str, AfterValidator(values.no_null_character)]
Command = Annotated[str, AfterValidator(values.command)]
RelativeDirectory = Annotated[str, AfterValidator(values.relative_directory)]
StaticPrefix = Annotated[str, AfterValidator(values.static_prefix)]
EdgePrefix = Annotated[str, AfterValidator(values.edge_prefix)]
Network = Annotated[str, AfterValidator(values.network)]
UserName = Annotated[str, AfterValidator(values.user_name)]
PasswordHash = Annotated[str, AfterValidator(values.password_hash)]


def key(meaning: str, kind: str, example: object, default: Any = ..., **limits: Any) -> Any:
    """Declare a key: meaning, type in words, example as YAML reads it, and the default unless required."""
    shared: dict[str, Any] = {
        "description": meaning,
        "examples": [example],
        "json_schema_extra": {"kind": kind},
        **limits,
    }
    if isinstance(default, dict | list):
        return Field(default_factory=lambda: type(default)(default), **shared)
    return Field(default, **shared)


class Strict(BaseModel):
    """Values of the types that are asked for, and no keys that nobody knows."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class Source(Strict):
    """Where an app's code comes from: exactly one of `path`, `git` and `archive`."""

    path: Annotated[str, AfterValidator(values.absolute_path)] | None = key(
        "Directory on the controller.", "absolute path", "{{ inventory_dir }}/../../app", None
    )
    git: Annotated[str, AfterValidator(values.git_address)] | None = key(
        "Git repository, cloned on the controller. Needs `version`.",
        "address",
        "https://git.example.org/observatory.git",
        None,
    )
    version: Annotated[str, AfterValidator(values.git_version)] | None = key(
        "Tag, branch or commit of the git repository. `-e version=REF` of a deploy replaces it.",
        "text",
        "v1.4.0",
        None,
    )
    archive: Annotated[str, AfterValidator(values.archive_place)] | None = key(
        "Archive (.tar.gz) on the controller, or its URL. Needs `checksum`.",
        "absolute path or URL",
        "https://files.example.org/observatory-1.4.0.tar.gz",
        None,
    )
    checksum: Annotated[str, AfterValidator(values.sha256)] | None = key(
        "SHA-256 of the archive, as `sha256sum` prints it.",
        "sha256:HEX",
        "sha256:" + "0123456789abcdef" * 4,
        None,
    )
    subdir: RelativeDirectory | None = key(
        "Folder of the project inside the source, where its pyproject.toml is; the service runs in it.",
        "relative path",
        "services/web",
        None,
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Source:
        kinds = [kind for kind in ("path", "git", "archive") if getattr(self, kind) is not None]
        if len(kinds) != 1:
            what = f"has {' and '.join(kinds)}" if kinds else "names no place"
            fix = (
                "give one of path: DIRECTORY, git: URL with version: REF, archive: FILE with checksum: SHA256"
            )
            raise MistakeError(what, fix)
        companions = {
            "git": ("version", "version: v1.4.0 (a tag, branch or commit)"),
            "archive": ("checksum", "checksum: sha256:… (`sha256sum FILE` prints it)"),
        }
        for kind, (companion, example) in companions.items():
            if kind in kinds and getattr(self, companion) is None:
                raise MistakeError(f"has {kind} without {companion}", f"add {example}")
            if kind not in kinds and getattr(self, companion) is not None:
                raise MistakeError(f"has {companion}, which belongs to {kind}", f"remove {companion}")
        return self


class Hooks(Strict):
    """Commands of the app around the phases of a deploy, run as the app's user in the project directory."""

    before_build: list[Command] = key(
        "Before the virtual environment is made.", "list of commands", ["./generate"], []
    )
    after_build: list[Command] = key(
        "After the dependencies are installed.", "list of commands", ["python -m observatory.assets"], []
    )
    before_activate: list[Command] = key(
        "After rehearsal and migration, before the release goes live.",
        "list of commands",
        ["python -m observatory.warm_cache"],
        [],
    )
    after_activate: list[Command] = key(
        "When the new release is live and verified.",
        "list of commands",
        ["python -m observatory.announce"],
        [],
    )
    after_rollback: list[Command] = key(
        "When an earlier release is live again.",
        "list of commands",
        ["python -m observatory.announce --undone"],
        [],
    )


class EdgePath(Strict):
    """What nginx does with requests below one prefix of the URL."""

    requests_per_second: int | None = key(
        "Of one client, twice as many in a burst; more are answered 429. `0`: any number.",
        "number",
        5,
        None,
        ge=0,
    )
    connections: int | None = key(
        "At the same time of one client; more are answered 429. `0`: any number.", "number", 10, None, ge=0
    )
    allow: list[Network] | None = key(
        "Addresses and networks that are let in; others are answered 403. `[]`: everyone.",
        "list of addresses",
        ["10.0.0.0/8", "2001:db8::/32"],
        None,
    )
    users: dict[UserName, PasswordHash] | None = key(
        "Who may come in, each with the hash of a password that `openssl passwd -6` prints. `{}`: everyone.",
        "mapping of user: hash",
        {"ann": "$6$salt$hash"},
        None,
    )
    request_body_max_mb: int | None = key(
        "Largest body of a request, in place of the app's.", "number of MB", 500, None, ge=1
    )
    cache_seconds: int | None = key(
        "How long nginx repeats an answer to requests without cookies and passwords. `0`: not at all.",
        "number of seconds",
        1,
        None,
        ge=0,
        le=86_400,
    )
    immutable: bool | None = key(
        "Files below a prefix of `static` never change under one name; browsers keep them for a year.",
        "true or false",
        True,
        None,
    )


class Edge(Strict):
    """How nginx serves the app to the world."""

    redirect_to_first_domain: bool = key(
        "Send who asks for another of `domains` to the first: www to bare, or the other way round.",
        "true or false",
        True,
        False,
    )
    paths: dict[EdgePrefix, EdgePath] = key(
        "Prefixes of the URL, each with keys of its own; what a longer one leaves out it has of the shorter.",
        "mapping of prefix: mapping",
        {"/": {"connections": 50}, "/admin": {"allow": ["10.0.0.0/8"]}},
        {},
    )
    snippet: Annotated[str, AfterValidator(values.absolute_path)] | None = key(
        "File on the controller with nginx directives for the app's server; tested before it goes live.",
        "absolute path",
        "{{ inventory_dir }}/files/observatory.conf",
        None,
    )


class Certificate(Strict):
    """Where the certificate of the app's domains comes from."""

    source: Literal["acme", "files", "self_signed", "mkcert"] = key(
        "`acme`: an authority; `files`: your own; `self_signed`: the host; `mkcert`: this machine's mkcert.",
        "acme, files, self_signed or mkcert",
        "files",
        "acme",
    )
    fullchain: Annotated[str, AfterValidator(values.absolute_path)] | None = key(
        "PEM file on the controller: the site's certificate, then those of its authority. With `files`.",
        "absolute path",
        "{{ inventory_dir }}/files/example.org.pem",
        None,
    )
    privkey: Annotated[str, AfterValidator(values.absolute_path)] | None = key(
        "PEM file on the controller with its key, best encrypted by ansible-vault. With `files`.",
        "absolute path",
        "{{ inventory_dir }}/files/example.org.key",
        None,
    )
    challenge: Literal["http", "dns"] = key(
        "How an authority is shown whose the domains are. `dns` is for wildcards and hosts it cannot reach.",
        "http or dns",
        "dns",
        "http",
    )

    @model_validator(mode="after")
    def _of_one_source(self) -> Certificate:
        for name in ("fullchain", "privkey"):
            given = getattr(self, name) is not None
            if self.source == "files" and not given:
                example = Certificate.model_fields[name].examples
                raise MistakeError(
                    f"has source files without {name}", f'add {name}: "{(example or [""])[0]}"'
                )
            if self.source != "files" and given:
                raise MistakeError(
                    f"has {name}, which belongs to source files", f"write source: files, or remove {name}"
                )
        if self.challenge == "dns" and self.source != "acme":
            raise MistakeError(
                f"has challenge dns, and with source {self.source} no authority asks for one",
                "remove challenge, or write source: acme",
            )
        return self


class App(Strict):
    """One entry of `apps`."""

    name: AppName = key(
        "User, units, paths and log tags are named after it.",
        f"slug of at most {names.APP_NAME_MAX_LENGTH} characters",
        "observatory",
    )
    domains: list[Domain] = key(
        "Hostnames that the app answers to, the main one first. For wildcards see `certificate`.",
        "list of hostnames",
        ["observatory.example.org"],
        min_length=1,
    )
    source: Source = key("Where the code comes from.", "mapping", {"path": "{{ inventory_dir }}/../../app"})
    module: Annotated[str, AfterValidator(values.module_attribute)] = key(
        "The ASGI application, as gunicorn imports it from the project directory.",
        "package.module:attribute",
        "observatory.main:app",
    )
    python: Annotated[str, AfterValidator(values.python_choice)] | None = key(
        "Version of Python (in quotes) or path of an interpreter on the host. Unset: the distribution's.",
        "version or absolute path",
        "3.13",
        None,
    )
    health_path: Annotated[str, AfterValidator(values.url_path)] = key(
        "Answers 200 when the app can work. A release that does not answer it never goes live.",
        "URL path",
        "/healthz",
        "/healthz",
    )
    env: dict[EnvironmentName, EnvironmentValue] = key(
        "Environment variables, all of them text.", "mapping of NAME: text", {"LOG_LEVEL": "info"}, {}
    )
    secrets: dict[EnvironmentName, EnvironmentValue] = key(
        "Environment variables that appear in no log, diff or process list. Keep the values in a vault.",
        "mapping of NAME: text",
        {"API_KEY": "{{ vault_observatory_api_key }}"},
        {},
    )
    static: dict[StaticPrefix, RelativeDirectory] = key(
        "URL prefixes that nginx answers with files, each with its folder in the project directory.",
        "mapping of prefix: relative path",
        {"/static": "observatory/static"},
        {},
    )
    migrate: list[Command] = key(
        "Commands that bring the database up to date, run once per deploy before the release goes live.",
        "list of commands",
        ["alembic upgrade head"],
        [],
    )
    hooks: Hooks = key(
        "Commands around the phases of a deploy.",
        "mapping",
        {"after_build": ["python -m observatory.assets"]},
        Hooks(),
    )
    workers: Annotated[int | values.WorkerPolicy, BeforeValidator(values.worker_number)] = key(
        "`per_core` (one per core, at least 2), `double` (2n+1), or a number. Never more than memory allows.",
        "per_core, double or a number",
        4,
        "per_core",
    )
    worker_class: Literal["handover", "handover_h11", "stock", "stock_h11"] = key(
        "`handover` drops nothing at a reload; `stock` is uvicorn's own; `_h11` parses in pure Python.",
        "handover, handover_h11, stock or stock_h11",
        "handover_h11",
        "handover",
    )
    worker_memory_mb: int = key(
        "What one worker may need; limits the number of workers.", "number of MB", 256, 128, ge=16
    )
    max_requests: int = key(
        "A worker is replaced after about this many requests (10 % spread); 0 never.",
        "number",
        10_000,
        100_000,
        ge=0,
    )
    boot_timeout_seconds: int = key(
        "How long import and start-up of a worker may take.", "number of seconds", 120, 60, ge=1, le=3600
    )
    request_timeout_seconds: int = key(
        "How long nginx waits for an answer, and a worker that leaves waits for its requests to finish.",
        "number of seconds",
        300,
        60,
        ge=1,
        le=86_400,
    )
    request_body_max_mb: int = key("Largest body of a request.", "number of MB", 100, 10, ge=1)
    port: int | None = key(
        "TCP port on which app hosts listen for edges on other machines. Unset: one derived from the name.",
        "number",
        20_123,
        None,
        ge=ports.LOWEST,
        le=ports.HIGHEST,
    )
    outbound: bool = key(
        "Whether the app may open connections of its own. `false` leaves it unix sockets.",
        "true or false",
        False,
        True,
    )
    keep_releases: int = key(
        "Releases kept on the host. The live and the previous one are never removed.", "number", 10, 5, ge=2
    )
    edge: Edge = key(
        "Limits, access, caching and redirects in nginx.",
        "mapping",
        {"redirect_to_first_domain": True},
        Edge(),
    )
    certificate: Certificate = key(
        "Where the certificate of the domains comes from.", "mapping", {"challenge": "dns"}, Certificate()
    )

    @model_validator(mode="after")
    def _port_of_name(self) -> App:
        if self.port is None:
            self.port = ports.derived(self.name)
        return self

    @model_validator(mode="after")
    def _files_and_answers(self) -> App:
        for prefix, path in self.edge.paths.items():
            is_static = any(f"{prefix}/".startswith(f"{static.rstrip('/')}/") for static in self.static)
            if path.immutable and not is_static:
                raise MistakeError(
                    f"has edge.paths.{prefix} immutable, which is no prefix of static nor below one",
                    "files are immutable, answers of an app may be cached with cache_seconds",
                )
            if path.cache_seconds and is_static:
                raise MistakeError(
                    f"has cache_seconds in edge.paths.{prefix}, where nginx answers with files",
                    "remove it there",
                )
        return self
