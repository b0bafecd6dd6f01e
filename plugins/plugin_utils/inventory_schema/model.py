"""The inventory contract of one app: the one source of its keys, their types, defaults and meaning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..postgresql import READ_ONLY
from . import extensions, limits, names, ports, sizing, values
from .mistakes import MistakeError
from .prefixes import around

AppName = Annotated[str, AfterValidator(names.app_name)]
Domain = Annotated[str, AfterValidator(names.domain)]
EnvironmentName = Annotated[str, AfterValidator(names.environment_name)]
EnvironmentValue = Annotated[str, AfterValidator(values.no_null_character)]
Command = Annotated[str, AfterValidator(values.command)]
DependencyName = Annotated[str, AfterValidator(values.dependency_name)]
ProcessName = Annotated[str, AfterValidator(names.process_name)]
Schedule = Annotated[str, AfterValidator(values.schedule)]
RelativeDirectory = Annotated[str, AfterValidator(values.relative_directory)]
StaticPrefix = Annotated[str, AfterValidator(values.static_prefix)]
EdgePrefix = Annotated[str, AfterValidator(values.edge_prefix)]
Network = Annotated[str, AfterValidator(values.network)]
DebianPackage = Annotated[str, AfterValidator(values.debian_package)]
Extension = Annotated[str, AfterValidator(extensions.known_extension)]
UrlScheme = Annotated[str, AfterValidator(values.url_scheme)]
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
        "Tag, branch or commit of the git repository. A deploy with `-e version=REF` overrides it.",
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
        "SHA-256 of the archive, as `sha256sum` prints it, with `sha256:` before it.",
        "sha256:HEX",
        "sha256:" + "0123456789abcdef" * 4,
        None,
    )
    subdir: RelativeDirectory | None = key(
        "Directory of the project in the source, with its pyproject.toml. The service runs there.",
        "relative path",
        "services/web",
        None,
    )
    include: list[RelativeDirectory] = key(
        "Files and directories of `path` to send in any case: ignored ones, `.env`, keys, databases.",
        "list of relative paths",
        ["frontend/dist"],
        [],
    )
    extras: list[DependencyName] = key(
        "Extras of the project to install as well. For uv.lock, poetry.lock and pdm.lock.",
        "list of names",
        ["prod"],
        [],
    )
    groups: list[DependencyName] = key(
        "Dependency groups to install as well. For uv.lock, poetry.lock and pdm.lock.",
        "list of names",
        ["worker"],
        [],
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Source:
        kinds = [kind for kind in ("path", "git", "archive") if getattr(self, kind) is not None]
        if len(kinds) != 1:
            what = f"has {' and '.join(kinds)}" if kinds else "has no location"
            fix = (
                "set one of path: DIRECTORY, git: URL with version: REF, archive: FILE with checksum: SHA256"
            )
            raise MistakeError(what, fix)
        if self.include and self.path is None:
            raise MistakeError(
                "has include, which belongs to path",
                "remove include, and commit the files or make them in hooks.before_build",
            )
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
    """Commands around the phases of a deploy. Build hooks run as the build user, the others as the app's."""

    before_build: list[Command] = key(
        "Before the virtual environment is created.", "list of commands", ["./generate"], []
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
        "After the new release is live and verified.",
        "list of commands",
        ["python -m observatory.announce"],
        [],
    )
    after_rollback: list[Command] = key(
        "After an earlier release is live again.",
        "list of commands",
        ["python -m observatory.announce --undone"],
        [],
    )


class Process(Strict):
    """A process that runs beside the web process, all the time, as `APP-NAME@RELEASE.N.service`."""

    command: Command = key("What to run. No shell reads it.", "command", "arq observatory.jobs.Settings")
    count: int = key("Copies on each app host.", "number", 2, 1, ge=1, le=64)
    once: bool = key(
        "On the first app host only, and never two at a time: for schedulers.", "true or false", True, False
    )
    stop_signal: Literal["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"] = key(
        "Signal that tells the process to finish its job and end. Its children do not get it.",
        "name of a signal",
        "SIGINT",
        "SIGTERM",
    )
    stop_timeout_seconds: int = key(
        "Time for the job under way. After it, the process is killed.",
        "number of seconds",
        600,
        60,
        ge=1,
        le=86_400,
    )
    memory_max_mb: int | None = key(
        "Memory of one copy with its children. Unset: no limit.", "number of MB", 512, None, ge=16
    )

    @model_validator(mode="after")
    def _one_of_its_kind(self) -> Process:
        if self.once and self.count != 1:
            raise MistakeError(f"has once: true with count: {self.count}", "remove one of the two")
        return self


class Timer(Strict):
    """A command that systemd starts at given times, as `APP-NAME.timer` and `APP-NAME.service`."""

    command: Command = key("What to run. No shell reads it.", "command", "python -m observatory.digest")
    schedule: Schedule = key(
        "When, as systemd's `OnCalendar=`. `systemd-analyze calendar` explains it.",
        "calendar expression",
        "*-*-* 03:30",
    )
    once: bool = key("On the first app host only.", "true or false", True, False)


class EdgePath(Strict):
    """Rules of nginx for requests below one URL prefix."""

    requests_per_second: int | None = key(
        "Requests of one client, twice as many in a burst. Above it: 429. `0`: no limit.",
        "number",
        5,
        None,
        ge=0,
    )
    connections: int | None = key(
        "Requests under way of one client. Above it: 429. `0`: no limit.", "number", 10, None, ge=0
    )
    allow: list[Network] | None = key(
        "Addresses and networks that have access. All others: 403. `[]`: everyone has access.",
        "list of addresses",
        ["10.0.0.0/8", "2001:db8::/32"],
        None,
    )
    users: dict[UserName, PasswordHash] | None = key(
        "Users, each with a password hash from `openssl passwd -6`. `{}`: no password.",
        "mapping of user: hash",
        {"ann": "$6$salt$hash"},
        None,
    )
    request_body_max_mb: int | None = key(
        "Largest request body, instead of the app's own limit.", "number of MB", 500, None, ge=1
    )
    cache_seconds: int | None = key(
        "How long nginx caches answers to requests without cookies and passwords. `0`: no cache.",
        "number of seconds",
        1,
        None,
        ge=0,
        le=86_400,
    )
    immutable: bool | None = key(
        "Files of `static` with a hash in their names: browsers cache them, the next release keeps them.",
        "true or false",
        True,
        None,
    )


class Edge(Strict):
    """How nginx serves the app."""

    redirect_to_first_domain: bool = key(
        "Redirect the other domains to the first one: www to bare, or bare to www.",
        "true or false",
        True,
        False,
    )
    paths: dict[EdgePrefix, EdgePath] = key(
        "Rules by URL prefix. A longer prefix inherits what it does not set from a shorter one.",
        "mapping of prefix: mapping",
        {"/": {"connections": 50}, "/admin": {"allow": ["10.0.0.0/8"]}},
        {},
    )
    snippet: Annotated[str, AfterValidator(values.absolute_path)] | None = key(
        "File on the controller with nginx directives for the app's `server` block.",
        "absolute path",
        "{{ inventory_dir }}/files/observatory.conf",
        None,
    )


class Certificate(Strict):
    """Where the certificate of the app's domains comes from."""

    source: Literal["acme", "files", "self_signed", "mkcert"] = key(
        "`acme`: a certificate authority (CA); `files`: your own; `self_signed`; `mkcert`: for development.",
        "acme, files, self_signed or mkcert",
        "files",
        "acme",
    )
    fullchain: Annotated[str, AfterValidator(values.absolute_path)] | None = key(
        "PEM file on the controller: the certificate, then its chain. For `source: files`.",
        "absolute path",
        "{{ inventory_dir }}/files/example.org.pem",
        None,
    )
    privkey: Annotated[str, AfterValidator(values.absolute_path)] | None = key(
        "PEM file on the controller with the key. Encrypt it with ansible-vault. For `source: files`.",
        "absolute path",
        "{{ inventory_dir }}/files/example.org.key",
        None,
    )
    challenge: Literal["http", "dns"] = key(
        "How to prove that the domains are yours. `dns`: for wildcards and hosts that the CA cannot reach.",
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
                f"has challenge dns, but source {self.source} needs no challenge",
                "remove challenge, or write source: acme",
            )
        return self


class Sandbox(Strict):
    """What an app may do beyond the sandbox of all apps. See [places.md](places.md)."""

    jit: bool = key(
        "Make code at run time: Node.js, PyPy, numba, callbacks of cffi.", "true or false", True, False
    )
    proc: bool = key(
        "Read about the whole machine from /proc, as psutil does; not about processes of others.",
        "true or false",
        True,
        False,
    )
    netlink: bool = key(
        "List network interfaces and routes: `getifaddrs`, `psutil.net_if_addrs`.",
        "true or false",
        True,
        False,
    )
    devices: bool = key(
        "Open devices in /dev that the app's user has access to: serial ports, GPUs, cameras.",
        "true or false",
        True,
        False,
    )


class Postgresql(Strict):
    """A database and a role of the app's own, on the host of the group `database`. See [data.md](data.md)."""

    variable: EnvironmentName = key(
        "Environment variable with the URL of the database.",
        "NAME",
        "SQLALCHEMY_DATABASE_URI",
        "DATABASE_URL",
    )
    scheme: UrlScheme = key(
        "Scheme of the URL, for a library that wants another one.",
        "scheme of a URL",
        "postgresql+asyncpg",
        "postgresql",
    )
    extensions: list[Extension] = key(
        "Extensions of the database. Farrier installs their packages and creates them.",
        "list of names",
        ["citext", "vector"],
        [],
    )
    read_only: bool = key(
        "A second role, which only reads, with its URL in READ_ONLY_ and the name of `variable`.",
        "true or false",
        True,
        False,
    )
    connections_max: int | None = key(
        "Connections of the app at a time, on all its hosts together. Unset: no limit of its own.",
        "number",
        40,
        None,
        ge=1,
        le=10_000,
    )


class Valkey(Strict):
    """An instance of Valkey of the app's own, on the host of the group `cache`. See [data.md](data.md)."""

    variable: EnvironmentName = key(
        "Environment variable with the URL of the instance.", "NAME", "CELERY_BROKER_URL", "REDIS_URL"
    )
    scheme: Literal["redis", "valkey", "redis+socket"] = key(
        "Library that reads the URL: `redis`, `valkey`, or Celery with `redis+socket`.",
        "redis, valkey or redis+socket",
        "redis+socket",
        "redis",
    )
    memory_max_mb: int = key("Memory for data.", "number of MB", 512, 128, ge=4)
    eviction: Literal[
        "noeviction",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] = key(
        "What goes when the memory is full, as Valkey's `maxmemory-policy`. `noeviction`: writes fail.",
        "name of a policy",
        "allkeys-lru",
        "noeviction",
    )
    persistent: bool = key(
        "Whether data survive a restart: queues and sessions need that, a cache does not.",
        "true or false",
        False,
        True,
    )


class Needs(Strict):
    """What the app gets beside its process, each with its URL in an environment variable."""

    postgresql: Postgresql | None = key(
        "A database in PostgreSQL. `{}`: with the defaults.", "mapping", {"extensions": ["citext"]}, None
    )
    valkey: Valkey | None = key(
        "An instance of Valkey (Redis on Debian 12). `{}`: with the defaults.",
        "mapping",
        {"eviction": "allkeys-lru", "persistent": False},
        None,
    )


class App(Strict):
    """One entry of `apps`."""

    name: AppName = key(
        "Name of the app's user, units, paths and log tag.",
        f"slug of at most {names.APP_NAME_MAX_LENGTH} characters",
        "observatory",
    )
    domains: list[Domain] = key(
        "Hostnames, the main one first. Without any, there is no web process: a worker or a bot alone.",
        "list of hostnames",
        ["observatory.example.org"],
        [],
    )
    path: EdgePrefix = key(
        "URL prefix of the app on its domains. Apps with other prefixes may have the same domains.",
        "URL prefix",
        "/api",
        "/",
    )
    source: Source = key("Where the code comes from.", "mapping", {"path": "{{ inventory_dir }}/../../app"})
    module: Annotated[str, AfterValidator(values.module_attribute)] | None = key(
        "The application that gunicorn imports, or a call that returns it, as in `main:create_app()`.",
        "package.module:attribute",
        "observatory.main:app",
        None,
    )
    interface: Literal["asgi", "wsgi"] = key(
        "`asgi`: FastAPI, Starlette and others with `async`. `wsgi`: Flask, Django and others in threads.",
        "asgi or wsgi",
        "wsgi",
        "asgi",
    )
    python: Annotated[str, AfterValidator(values.python_choice)] | None = key(
        "Python version (in quotes) or path on the host. Unset: the distribution's, if the app accepts it.",
        "version or absolute path",
        "3.13",
        None,
    )
    packages: list[DebianPackage] = key(
        "Packages of Debian that the app or its build needs. `site.yml` installs them.",
        "list of packages",
        ["libpango-1.0-0"],
        [],
    )
    health_path: Annotated[str, AfterValidator(values.url_path)] = key(
        "Path that answers if the app can work. A release that does not answer it never goes live.",
        "URL path",
        "/healthz",
        "/healthz",
    )
    health_status: int = key(
        "Status of the answer to `health_path`, such as 302 for an app that sends strangers to a login page.",
        "HTTP status",
        302,
        200,
        ge=200,
        le=499,
    )
    env: dict[EnvironmentName, EnvironmentValue] = key(
        "Environment variables, all of them text.", "mapping of NAME: text", {"LOG_LEVEL": "info"}, {}
    )
    secrets: dict[EnvironmentName, EnvironmentValue] = key(
        "Environment variables that appear in no log, diff or process list. Keep their values in a vault.",
        "mapping of NAME: text",
        {"API_KEY": "{{ vault_observatory_api_key }}"},
        {},
    )
    needs: Needs = key(
        "Databases of the app, which Farrier makes. Their URLs are in its environment.",
        "mapping",
        {"postgresql": {}, "valkey": {}},
        Needs(),
    )
    static: dict[EdgePrefix, RelativeDirectory] = key(
        "URL prefixes that nginx serves from files, each with its directory in the project.",
        "mapping of prefix: relative path",
        {"/static": "observatory/static"},
        {},
    )
    app_paths: list[EdgePrefix] = key(
        "URL prefixes that the app answers, if `static` has `/`: a built front end answers all others.",
        "list of URL prefixes",
        ["/api", "/healthz"],
        [],
    )
    media: dict[StaticPrefix, RelativeDirectory] = key(
        "URL prefixes that nginx serves from what the app writes, each with its directory in the state.",
        "mapping of prefix: relative path",
        {"/media": "uploads"},
        {},
    )
    links: dict[RelativeDirectory, RelativeDirectory] = key(
        "Places in the project that the app writes to, each with what it is in the app's state.",
        "mapping of relative path: relative path",
        {"logs": "logs"},
        {},
    )
    migrate: list[Command] = key(
        "Commands that migrate the database, once per deploy, on one host, before the release goes live.",
        "list of commands",
        ["alembic upgrade head"],
        [],
    )
    migrate_before_rehearsal: bool = key(
        "Migrate before the rehearsal, if the start-up needs the new schema. The first release always does.",
        "true or false",
        True,
        False,
    )
    backup_before_migrate: bool = key(
        "Save what the app keeps before it migrates. A rollback says how to restore it.",
        "true or false",
        True,
        False,
    )
    hooks: Hooks = key(
        "Commands around the phases of a deploy.",
        "mapping",
        {"after_build": ["python -m observatory.assets"]},
        Hooks(),
    )
    processes: dict[ProcessName, Process] = key(
        "Processes that run beside the web process, by name: workers, schedulers, bots.",
        "mapping of name: mapping",
        {"worker": {"command": "arq observatory.jobs.Settings"}},
        {},
    )
    timers: dict[ProcessName, Timer] = key(
        "Commands that run at given times, by name.",
        "mapping of name: mapping",
        {"digest": {"command": "python -m observatory.digest", "schedule": "daily"}},
        {},
    )
    handover: Literal["overlap", "stop_first"] = key(
        "`stop_first`: only one copy may run. Requests wait while the old one stops and the new one starts.",
        "overlap or stop_first",
        "overlap",
        "overlap",
    )
    workers: Annotated[int | values.WorkerPolicy, BeforeValidator(values.worker_number)] = key(
        "`per_core` (one per core, at least 2), `double` (2n+1), or a number. Memory limits it.",
        "per_core, double or a number",
        4,
        "per_core",
    )
    server: Annotated[
        Literal["gunicorn", "uvicorn", "hypercorn", "daphne", "uwsgi"], BeforeValidator(values.known_server)
    ] = key(
        "What serves within gunicorn's workers. `gunicorn`: uvicorn, or for WSGI, threads of gunicorn.",
        "gunicorn, uvicorn, hypercorn, daphne or uwsgi",
        "daphne",
        "gunicorn",
    )
    worker_class: Literal["handover", "handover_h11", "handover_asgi", "stock", "stock_h11"] = key(
        "uvicorn, with its parser in pure Python (`_h11`); `_asgi`: gunicorn's own. `stock` loses requests.",
        "handover, handover_h11, handover_asgi, stock or stock_h11",
        "handover_h11",
        "handover",
    )
    threads: int = key(
        "Requests that one worker answers at the same time, with `interface: wsgi`.",
        "number",
        16,
        8,
        ge=1,
        le=512,
    )
    worker_memory_mb: int = key(
        "Memory that one worker may need. It limits the number of workers.",
        "number of MB",
        256,
        sizing.WORKER_MEMORY_MB,
        ge=16,
    )
    worker_memory_max_mb: int | None = key(
        "Memory at which a worker is replaced, without a failed request. Unset: never.",
        "number of MB",
        512,
        None,
        ge=32,
    )
    memory_max_mb: int | None = key(
        "Memory of all workers together. Above it, the kernel kills some of them. Unset: no limit.",
        "number of MB",
        2048,
        None,
        ge=64,
    )
    cpu_percent_max: int | None = key(
        "Processor time of the app. 100 is one core. Unset: no limit.", "number of percent", 150, None, ge=5
    )
    tasks_max: int | None = key(
        "Processes and threads of the app, all together. Unset: systemd's own limit.",
        "number",
        500,
        None,
        ge=16,
    )
    max_requests: int = key(
        "Requests and WebSockets after which a worker is replaced (up to 10 % more, at random). `0`: never.",
        "number",
        10_000,
        100_000,
        ge=0,
    )
    boot_timeout_seconds: int = key(
        "Time limit for the import and start-up of a worker.", "number of seconds", 120, 60, ge=1, le=3600
    )
    request_timeout_seconds: int = key(
        "How long nginx waits for an answer, and a stopping worker for its requests.",
        "number of seconds",
        300,
        60,
        ge=1,
        le=86_400,
    )
    request_body_max_mb: int = key("Largest request body.", "number of MB", 100, 10, ge=1)
    port: int | None = key(
        "TCP port on app hosts for edges on other machines. Unset: derived from the name.",
        "number",
        20_123,
        None,
        ge=ports.LOWEST,
        le=ports.HIGHEST,
    )
    outbound: bool = key(
        "Whether the app may open network connections. `false`: unix sockets only.",
        "true or false",
        False,
        True,
    )
    sandbox: Sandbox = key(
        "Exceptions from the sandbox in which the app's code runs.", "mapping", {"jit": True}, Sandbox()
    )
    backup_check: Command | None = key(
        "Command that checks a restored backup: it finds it in its state directory, and has no network.",
        "command",
        "python -m observatory.check",
        None,
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
    def _of_one_interface(self) -> App:
        if self.interface == "wsgi" and self.worker_class != "handover":
            raise MistakeError(
                f"has worker_class {self.worker_class}, which serves ASGI alone, and interface wsgi",
                "remove worker_class",
            )
        if self.server not in ("gunicorn", "uwsgi") and self.interface == "wsgi":
            raise MistakeError(
                f"has server {self.server}, which serves ASGI alone, and interface wsgi", "remove server"
            )
        if self.server == "uwsgi" and self.interface == "asgi":
            raise MistakeError(
                "has server uwsgi, which serves WSGI alone, and interface asgi",
                "write interface: wsgi if the app is Flask, Django or another WSGI app, or remove server",
            )
        if self.server == "uvicorn" and self.worker_class != "handover_asgi":
            self.server = "gunicorn"
        if self.server != "gunicorn" and self.worker_class != "handover":
            raise MistakeError(
                f"has server {self.server}, and worker_class {self.worker_class}, which is one of "
                "server gunicorn",
                "remove worker_class",
            )
        if self.interface == "asgi" and self.threads != App.model_fields["threads"].default:
            raise MistakeError(
                "has threads, which only a worker with interface wsgi has",
                "remove threads, or write interface: wsgi if the app is Flask, Django or another WSGI app",
            )
        return self

    @model_validator(mode="after")
    def _one_copy(self) -> App:
        if self.handover == "overlap":
            return self
        for name, value, why in (
            ("workers", 1, "each worker is a copy of the app"),
            ("max_requests", 0, "a worker that is replaced runs beside the next one"),
            ("worker_memory_max_mb", None, "a worker that is replaced runs beside the next one"),
        ):
            if name not in self.model_fields_set:
                setattr(self, name, value)
            elif getattr(self, name) != value:
                raise MistakeError(f"has handover stop_first and {name}, but {why}", f"remove {name}")
        return self

    @model_validator(mode="after")
    def _needs(self) -> App:
        taken = {name: place for place in ("env", "secrets") for name in getattr(self, place)}
        for service in Needs.model_fields:
            need = getattr(self.needs, service)
            if need is None:
                continue
            is_read_only = isinstance(need, Postgresql) and need.read_only
            for variable in [need.variable, *([f"{READ_ONLY}{need.variable}"] if is_read_only else [])]:
                if place := taken.get(variable):
                    raise MistakeError(
                        f"has {variable} in {place}, and needs.{service}, which sets it",
                        f"remove needs.{service} to keep what is yours, or remove {variable} from {place}; "
                        f"needs.{service}.variable gives it another name",
                    )
                taken[variable] = f"needs.{service}"
        if self.needs.postgresql and self.name in names.RESERVED_DATABASE_NAMES:
            raise MistakeError(
                f"has the name {self.name}, which PostgreSQL keeps for itself, and needs.postgresql",
                f"give the app another name, as in {self.name}-site",
            )
        return self

    @model_validator(mode="after")
    def _names_of_units(self) -> App:
        if both := sorted(self.processes.keys() & self.timers.keys()):
            raise MistakeError(
                f"has a process and a timer of the name {both[0]}", "give one of them another name"
            )
        return self

    @model_validator(mode="after")
    def _limits(self) -> App:
        limits.check(
            workers=self.workers,
            worker_memory_mb=self.worker_memory_mb,
            worker_memory_max_mb=self.worker_memory_max_mb,
            memory_max_mb=self.memory_max_mb,
            tasks_max=self.tasks_max,
        )
        if self.worker_memory_max_mb is not None and not self.worker_class.startswith("handover"):
            raise MistakeError(
                f"has worker_memory_max_mb, which a worker of class {self.worker_class} does not know",
                "remove it, or write worker_class: handover",
            )
        return self

    @model_validator(mode="after")
    def _front_end(self) -> App:
        if "/" in self.static and not self.app_paths:
            raise MistakeError(
                "has / in static without app_paths, so the app would never be asked",
                "add app_paths with what the app answers, as in app_paths: [/api, /healthz]",
            )
        if self.app_paths and "/" not in self.static:
            raise MistakeError(
                "has app_paths without / in static",
                "remove app_paths, or add the directory of the front end, as in static: {/: frontend/dist}",
            )
        if self.app_paths and not around(self.health_path, self.app_paths):
            raise MistakeError(
                f"has health_path {self.health_path}, which the front end would answer",
                f"add {self.health_path} to app_paths",
            )
        return self

    @model_validator(mode="after")
    def _files_and_answers(self) -> App:
        for prefix in self.media:
            if prefix.rstrip("/") in self.static:
                raise MistakeError(
                    f"has {prefix} in media and in static", "give each directory a prefix of its own"
                )
        for prefix in self.app_paths:
            if prefix in [*self.static, *self.media]:
                raise MistakeError(
                    f"has {prefix} in app_paths and as a prefix of files", "remove one of them"
                )
        for prefix, path in self.edge.paths.items():
            nearest = around(prefix, [*self.app_paths, *self.static, *self.media])
            is_static = bool(nearest) and nearest[-1] not in self.app_paths
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
