"""One app of the inventory: what is accepted, what is refused, and with which words."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema import (
    App,
    Hidden,
    Problem,
    Unresolved,
    app_problems,
)
from ansible_collections.farrier.kit.plugins.plugin_utils.inventory_schema.limits import limit_problems

GOOD: dict[str, Any] = {
    "name": "observatory",
    "domains": ["observatory.example.org", "www.example.org"],
    "source": {"git": "https://git.example.org/observatory.git", "version": "v1.4.0"},
    "module": "observatory.main:app",
}


def problems(**changes: Any) -> list[Problem]:
    """Check the good app with some keys replaced, or removed where the value is None."""
    app = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    return app_problems(app, 0)


def only(**changes: Any) -> Problem:
    """Return the one problem that the changes make."""
    found = problems(**changes)
    assert len(found) == 1, found
    return found[0]


def test_smallest_app_is_accepted() -> None:
    """An operator needs to write four keys only."""
    assert problems() == []


def test_every_example_of_the_model_is_accepted() -> None:
    """Examples end up in the docs and in messages; one that is refused would be a bad joke."""
    examples = {key: field.examples[0] for key, field in App.model_fields.items() if field.examples}
    assert set(examples) == set(App.model_fields)
    # Templates are resolved before the contract sees a value.
    examples["source"] = GOOD["source"]
    # The others are for ASGI, the example of interface is not; that of app_paths is for a front end.
    examples |= {"worker_class": "handover", "server": "gunicorn", "static": {"/": "frontend/dist"}}
    assert app_problems(examples, 0) == []


@pytest.mark.parametrize("key", ["name", "domains", "source", "module"])
def test_missing_key_is_named_with_an_example(key: str) -> None:
    """The fix of a missing key can be pasted."""
    problem = only(**{key: None})
    assert (problem.key, problem.what) == (key, "is missing")
    assert problem.fix.startswith(f"add {key}: ")


@pytest.mark.parametrize(
    ("key", "value"), [("workers", 2), ("max_requests", 1000), ("worker_memory_max_mb", 256)]
)
def test_what_would_run_a_second_copy_is_refused(key: str, value: object) -> None:
    """Where only one may run."""
    assert problems(handover="stop_first") == []
    assert problems(handover="stop_first", workers=1, max_requests=0) == []
    problem = only(**{"handover": "stop_first", key: value})
    assert problem.what.startswith(f"has handover stop_first and {key}, but ")
    assert problem.fix == f"remove {key}"


WORKER = {"worker": {"command": "python worker.py"}}


def test_an_app_without_domains_needs_no_module() -> None:
    """A worker or a bot alone."""
    assert problems(domains=None, module=None, processes=WORKER) == []
    timer = {"digest": {"command": "python digest.py", "schedule": "daily"}}
    assert problems(domains=[], module=None, timers=timer) == []
    fix = only(domains=[]).fix
    assert fix.endswith("or processes, if it is a worker or a bot alone")


@pytest.mark.parametrize(
    ("key", "value"), [("module", "x:app"), ("static", {"/static": "static"}), ("health_path", "/health")]
)
def test_what_only_a_web_process_has_is_of_no_use_without_domains(key: str, value: object) -> None:
    """The operator has forgotten the domains, or does not know what the key is for."""
    problem = only(**{"domains": None, "module": None, "processes": WORKER, key: value})
    assert (problem.key, problem.what) == (key, "is of no use without domains")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("domain", "domains"), ("modul", "module"), ("secret", "secrets"), ("helth_path", "health_path")],
)
def test_unknown_key_suggests_what_was_meant(wrong: str, meant: str) -> None:
    """A typing mistake is found, not passed over."""
    problem = only(**{wrong: ["x"]})
    assert problem.what == "is an unknown key"
    assert problem.fix == f"did you mean {meant}?"


def test_unknown_key_without_likeness_lists_the_keys() -> None:
    """Who invents a key sees those that exist."""
    assert "health_path, health_status" in only(zzz=1).fix


def test_unknown_key_in_source_and_hooks_is_found() -> None:
    """Nested mappings are as strict as the app itself."""
    assert only(source={**GOOD["source"], "subdirectory": "x"}).fix == "did you mean subdir?"
    assert only(hooks={"after_deploy": []}).key == "hooks.after_deploy"


@pytest.mark.parametrize("value", [{"API_KEY": "hunter2"}, "hunter2"])
def test_value_of_unknown_key_is_never_shown(value: object) -> None:
    """A mistyped `secrets` must not put the secrets on the screen."""
    problem = only(secret=value)
    assert "hunter2" not in repr(problem)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("domains", "observatory.example.org", "is text, not a list"),
        ("domains", [], "is empty"),
        ("env", ["A=b"], "is a list, not a mapping"),
        ("source", "/srv/app", "is text, not a mapping"),
        ("outbound", "no", "is text, not true or false"),
        ("python", 3.13, "is a decimal number, not text"),
        ("keep_releases", "5", "is text, not a whole number"),
        ("keep_releases", 1, "is below 2"),
        ("max_requests", -1, "is below 0"),
        ("worker_class", "gevent", "is not handover, handover_h11, handover_asgi, stock or stock_h11"),
        ("request_timeout_seconds", 100_000, "is above 86400"),
        ("migrate", "alembic upgrade head", "is text, not a list"),
        ("migrate", ["echo 'x"], "cannot be split into words (No closing quotation)"),
        ("migrate", [" "], "is an empty command"),
        ("static", {"static": "static"}, "does not begin with /"),
        ("media", {"/": "static"}, "covers the whole site"),
        ("static", {"/.well-known/acme-challenge/": "x"}, "is reserved for ACME challenges"),
        ("static", {"/static": "../other"}, "points outside the release"),
        ("static", {"/static": "/etc"}, "points outside the release"),
        ("health_path", "healthz", "does not begin with /"),
        ("health_path", "/healthz?full=1", "is not the path of a URL"),
        ("health_path", "//evil.example.org", "is not the path of a URL"),
        ("python", "3.9", "is too old for Farrier's worker"),
        ("python", "python3.13", "is neither a version nor an absolute path"),
        ("env", {"A": "x\0y"}, "contains a null character"),
    ],
)
def test_wrong_value_is_refused(key: str, value: object, what: str) -> None:
    """Types and limits are checked before a host is touched, in words."""
    problem = only(**{key: value})
    assert problem.what == what
    assert problem.key.startswith(key)
    assert problem.fix


@pytest.mark.parametrize(
    "module",
    ["observatory.main", "observatory/main.py:app", "observatory.main:app(", ":app", "a:b:c", "1a:app"],
)
def test_module_must_name_an_attribute(module: str) -> None:
    """gunicorn would fail at the first boot of a worker, minutes later."""
    assert "package.module:attribute" in only(module=module).what


def test_module_may_name_a_function_that_makes_the_application() -> None:
    """As gunicorn itself understands it."""
    assert problems(module="shop.main:create_app()") == []
    assert problems(module="shop.main:create_app('production')") == []


@pytest.mark.parametrize(
    ("keys", "what", "fix"),
    [
        ({"interface": "wsgi", "worker_class": "stock"}, "serves ASGI alone", "remove worker_class"),
        ({"interface": "wsgi", "server": "daphne"}, "daphne, which serves ASGI alone", "remove server"),
        (
            {"server": "hypercorn", "worker_class": "handover_h11"},
            "which is one of server gunicorn",
            "remove worker_class",
        ),
        ({"server": "granian"}, "is not gunicorn, uvicorn, hypercorn, daphne or uwsgi", "daphne"),
        ({"server": "waitress"}, "is a server for WSGI", "interface: wsgi"),
        ({"server": "uwsgi"}, "uwsgi, which serves WSGI alone", "interface: wsgi"),
        ({"server": "uvicorn", "interface": "wsgi"}, "uvicorn, which serves ASGI alone", "remove server"),
        (
            {"server": "uvicorn", "worker_class": "handover_asgi"},
            "server uvicorn, and",
            "remove worker_class",
        ),
        ({"threads": 4}, "only a worker with interface wsgi has", "interface: wsgi"),
        ({"interface": "rsgi"}, "is not asgi or wsgi", "wsgi"),
    ],
)
def test_keys_of_the_other_interface_are_refused(keys: dict[str, Any], what: str, fix: str) -> None:
    """Before anything is built."""
    problem = only(**keys)
    assert what in problem.what
    assert fix in problem.fix


@pytest.mark.parametrize("changes", [{}, {"worker_class": "handover_h11"}, {"worker_class": "stock"}])
def test_uvicorn_is_what_serves_in_any_case(changes: dict[str, Any]) -> None:
    """Who asks for it gets the default, and not another release or a restart for that."""
    assert problems(server="uvicorn", **changes) == []
    assert App.model_validate(GOOD | {"server": "uvicorn"} | changes) == App.model_validate(GOOD | changes)


def test_wsgi_is_accepted() -> None:
    """With a number of threads or without."""
    assert problems(interface="wsgi") == []
    assert problems(interface="wsgi", threads=2) == []


@pytest.mark.parametrize("python", ["3.11", "3.13", "3.13.2", "/opt/python/bin/python3"])
def test_python_version_or_path_is_accepted(python: str) -> None:
    """Both of the documented forms work."""
    assert problems(python=python) == []


@pytest.mark.parametrize("workers", ["per_core", "double", 1, 64])
def test_worker_policies_and_numbers_are_accepted(workers: object) -> None:
    """The three forms of the contract work."""
    assert problems(workers=workers) == []


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, "2", "many", [], {"a": 1}])
def test_other_worker_values_are_refused_once(workers: object) -> None:
    """One mistake gives one message, though pydantic would try each member of the union."""
    assert only(workers=workers).key == "workers"


@pytest.mark.parametrize("name", ["a", "observatory", "my-app-2", "x" * 26])
def test_app_names_are_accepted(name: str) -> None:
    """Slugs up to the limit that leaves room for `-build` in a user's name."""
    assert problems(name=name) == []


@pytest.mark.parametrize(
    "name",
    ["", "Observatory", "my_app", "2fast", "-a", "a-", "a--b", "a/b", "a b", "x" * 27, "ä"],
)
def test_app_names_that_are_no_slug_are_refused(name: str) -> None:
    """The name becomes a user, a unit and a directory."""
    assert only(name=name).key == "name"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "nginx",
            "root",
            "www-data",
            "certbot",
            "ssh",
            "cron",
            "mail",
            "sockets",
            "admin",
            "systemd-resolve",
        ),
        *("shop-build", "shop-rehearsal", "shop-stand-in", "shop-transaction"),
    ],
)
def test_app_names_of_the_system_are_refused(name: str) -> None:
    """An app called nginx would overwrite nginx.service; one called shop-build is the builder of shop."""
    assert only(name=name).key == "name"


@pytest.mark.parametrize(
    ("domain", "fix"),
    [
        ("10.0.0.1", "write a hostname that resolves to it"),
        ("::1", "write a hostname that resolves to it"),
        ("my_app.example.org", "write my-app.example.org"),
        ("Example.org", "write example.org"),
        ("example.org.", "write example.org"),
        (" example.org", "write example.org"),
        ("*example.org", "write *. and a name, as in *.example.org"),
        ("*.Example.org", "below *. write example.org"),
        ("*.org", "below *. write it in full: org.example.org"),
        ("https://example.org/x", "write the hostname alone: example.org"),
        ("example.org:8443", "write the hostname alone: example.org"),
        ("müller.example", "write its encoded form: xn--mller-kva.example"),
        ("localhost", "write it in full: localhost.example.org"),
    ],
)
def test_domains_that_are_no_hostname_are_refused_with_the_right_one(domain: str, fix: str) -> None:
    """Each usual mistake gets the value to write instead."""
    problem = only(domains=[domain])
    assert (problem.key, problem.fix) == ("domains[0]", fix)


@pytest.mark.parametrize(
    "domain", ["a..b", "-a.example", "a-.example", "a.b.1", "x" * 64 + ".org", "a b.org", ".org"]
)
def test_malformed_hostnames_are_refused(domain: str) -> None:
    """What is left after the usual mistakes."""
    assert only(domains=[domain]).what == "is not a hostname"


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("cd web && python manage.py migrate", "cd"),
        ("python a.py && python b.py", "&&"),
        ("python a.py || true", "||"),
        ("python dump.py | gzip", "|"),
        ("python dump.py > out.json", ">"),
        ("python dump.py >out.json", ">out.json"),
        ("python dump.py 2>/dev/null", "2>/dev/null"),
        ("python a.py; python b.py", "a.py;"),
        ("python serve.py &", "&"),
        ("python a.py $HOME/x", "$HOME/x"),
        ("python a.py $(date)", "$(date)"),
        ("DEBUG=1 python a.py", "DEBUG=1"),
        ("source .venv/bin/activate", "source"),
    ],
)
def test_words_of_a_shell_are_refused(command: str, word: str) -> None:
    """Nothing would act on them; what is to be pasted instead is accepted."""
    problem = only(migrate=[command])
    assert problem.what == f"has {word}, but no shell runs it"
    assert problem.fix == f"write sh -c {shlex.quote(command)}"
    assert problems(hooks={"after_build": [problem.fix.removeprefix("write ")]}) == []


@pytest.mark.parametrize(
    "command",
    [
        "sh -c 'cd web && python manage.py migrate > log'",
        'python -c "print(1); print(2)"',
        "python warm.py https://example.org/?a=1&b=2",
        "alembic -x tenant=a;b upgrade head",
        "python a.py '&&' \"|\"",
        "./generate --option=value",
        r"find . -name a.txt -exec cat {} \;",
        "env DEBUG=1 python a.py",
    ],
)
def test_what_only_looks_like_a_shells_is_accepted(command: str) -> None:
    """Quoted words and addresses are the program's own."""
    assert problems(migrate=[command]) == []


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ({}, "has no location"),
        ({"path": "/a", "git": "https://x/y", "version": "1"}, "has path and git"),
        ({"git": "https://x/y"}, "has git without version"),
        ({"archive": "/x.tar.gz"}, "has archive without checksum"),
        ({"path": "/a", "version": "v1"}, "has version, which belongs to git"),
        ({"path": "/a", "checksum": "sha256:" + "0" * 64}, "has checksum, which belongs to archive"),
        ({"path": "app"}, "is not absolute"),
        ({"path": "~/app"}, "is not absolute"),
        ({"path": "/a", "subdir": "../b"}, "points outside the release"),
        ({"path": "/a", "subdir": "/b"}, "points outside the release"),
        ({"path": "/a", "subdir": "b c"}, "is not a plain relative path"),
        ({"git": "--upload-pack=sh", "version": "1"}, "is not the address of a git repository"),
        ({"git": "ext::sh -c x", "version": "1"}, "is not the address of a git repository"),
        ({"git": "https://x/y", "version": "--output=x"}, "is not a git reference"),
        ({"git": "https://x/y", "version": 1.4}, "is a decimal number, not text"),
        (
            {"archive": "ftp://x/y", "checksum": "sha256:" + "0" * 64},
            "is a URL of an unsupported kind",
        ),
        ({"archive": "/x", "checksum": "md5:abc"}, "is not a SHA-256 checksum"),
        ({"git": "https://x/y", "version": "1", "include": ["dist"]}, "has include, which belongs to path"),
        ({"path": "/a", "include": ["../dist"]}, "points outside the release"),
        ({"path": "/a", "include": "dist"}, "is text, not a list"),
        ({"path": "/a", "extras": ["--prod"]}, "is not the name of an extra or group"),
        ({"path": "/a", "groups": ["a b"]}, "is not the name of an extra or group"),
    ],
)
def test_source_is_one_kind_and_complete(source: dict[str, Any], what: str) -> None:
    """Half a source, two sources or one that could run a command are refused."""
    assert only(source=source).what == what


@pytest.mark.parametrize(
    "source",
    [
        {"git": "git@git.example.org:team/app.git", "version": "3f2a1bc"},
        {"git": "ssh://git@git.example.org:2222/app.git", "version": "feature/x", "subdir": "services/web"},
        {"archive": "https://files.example.org/a.tar.gz", "checksum": "sha256:" + "ab" * 32},
    ],
)
def test_sources_of_other_machines_are_accepted(source: dict[str, Any]) -> None:
    """The usual addresses of git and of archives work."""
    assert problems(source=source) == []


def test_token_in_a_repository_address_is_not_shown() -> None:
    """A password in a URL is a secret, too."""
    problem = only(source={"git": "https://user:hunter2@x y", "version": "1"})
    assert problem.value == '"https://…@x y"'
    problem = only(source={"archive": "ftp://x/a.tar.gz?token=hunter2", "checksum": "sha256:" + "ab" * 32})
    assert problem.value == '"ftp://x/a.tar.gz?…"'


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("MY-VAR", "is not the name of an environment variable"),
        ("2ND", "is not the name of an environment variable"),
        ("RELEASE_ID", "is set by Farrier"),
        ("FARRIER_BIND", "is set by Farrier"),
        ("LISTEN_FDS", "is set by systemd for the service"),
        ("STATE_DIRECTORY", "is set by systemd for the service"),
        ("GUNICORN_CMD_ARGS", "is read by gunicorn, whose settings are Farrier's"),
    ],
)
@pytest.mark.parametrize("mapping", ["env", "secrets"])
def test_environment_names_are_checked(mapping: str, name: str, what: str) -> None:
    """A variable that the kit, systemd or gunicorn sets would be lost or do harm."""
    problem = only(**{mapping: {name: "x"}})
    assert (problem.key, problem.what) == (f"{mapping}.{name}", what)


@pytest.mark.parametrize(
    ("value", "shown"), [(8000, "8000"), (True, "true"), (1.1, "1.1"), (None, ""), ([], ""), ({}, "")]
)
def test_environment_values_are_text_only(value: object, shown: str) -> None:
    """Conversion would guess: YAML has made 01234 into 668 and `no` into false before anyone sees it."""
    problem = only(env={"PORT": value})
    assert (problem.key, problem.value) == ("env.PORT", shown)
    assert "PORT" in problem.fix or "LOG_LEVEL" in problem.fix


def test_number_in_env_says_how_to_write_it() -> None:
    """Quotes help a literal, `| string` a template that yields a number."""
    assert (
        only(env={"PORT": 8000}).fix
        == 'put it in quotes as you want it, PORT: "…"; in a template add `| string`'
    )


def test_name_that_yaml_reads_as_a_boolean_is_explained() -> None:
    """`ON: x` has the key true in YAML 1.1."""
    problem = only(env={True: "x"})
    assert problem.what == "has a name that YAML reads as true or false"


@pytest.mark.parametrize(
    "value", [12345678, True, ["hunter2"], {"a": "hunter2"}, "hunter2\0", Hidden("hunter2\0")]
)
def test_values_of_secrets_are_never_shown(value: object) -> None:
    """Messages end up in logs and chats."""
    problem = only(secrets={"API_KEY": value})
    assert problem.key == "secrets.API_KEY"
    assert "hunter2" not in repr(problem)
    assert "12345678" not in repr(problem)


def test_vaulted_value_is_never_shown() -> None:
    """What was encrypted stays out of messages wherever it stands."""
    assert "hunter2" not in repr(only(module=Hidden("hunter2")))


def test_unresolved_value_says_why() -> None:
    """An undefined variable in one value is one problem beside the others."""
    found = problems(module=Unresolved("cannot be resolved: 'x' is undefined", "define it"), workers=0)
    assert [(problem.key, problem.fix[:9]) for problem in found] == [
        ("module", "define it"),
        ("workers", "workers: "),
    ]


def test_all_problems_are_reported_at_once() -> None:
    """Nobody wants to run five times to find five mistakes."""
    found = problems(name="Root", domains=["10.0.0.1", "b_c.org"], module="x", workers=0, zzz=1)
    assert [problem.key for problem in found] == [
        "name",
        "domains[0]",
        "domains[1]",
        "module",
        "workers",
        "zzz",
    ]


@pytest.mark.parametrize("raw", ["observatory", None, ["x"], 5])
def test_entry_that_is_no_mapping_is_refused(raw: object) -> None:
    """`apps: [observatory]` is answered by what an entry looks like."""
    (problem,) = app_problems(raw, 3)
    assert problem.subject == "apps[3]"
    assert "name: " in problem.fix


def test_edge_of_an_app_is_accepted() -> None:
    """Everything at once, as docs/inventory.md has it."""
    paths = {
        "/": {"connections": 50, "requests_per_second": 20},
        "/admin/": {
            "allow": ["10.0.0.0/8", "2001:db8::/32", "203.0.113.7"],
            "users": {"ann": "$6$salt$hash"},
        },
        "/catalog": {"cache_seconds": 1},
        "/static/assets": {"immutable": True},
    }
    edge = {"redirect_to_first_domain": True, "paths": paths, "snippet": "/etc/hostname"}
    assert problems(edge=edge, static={"/static": "static"}) == []


def test_front_end_answers_what_the_app_does_not() -> None:
    """Rules hold for prefixes of both."""
    edge = {"paths": {"/assets": {"immutable": True}, "/api/slow": {"cache_seconds": 1}}}
    assert problems(edge=edge, static={"/": "dist"}, app_paths=["/api", "/healthz/"]) == []


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"static": {"/": "dist"}}, "has / in static without app_paths"),
        ({"app_paths": ["/api"]}, "has app_paths without / in static"),
        ({"static": {"/": "dist"}, "app_paths": ["/api"]}, "has health_path /healthz, which the front end"),
        ({"static": {"/": "dist", "/a": "a"}, "app_paths": ["/a", "/healthz"]}, "has /a in app_paths"),
        (
            {
                "static": {"/": "dist"},
                "app_paths": ["/healthz"],
                "edge": {"paths": {"/healthz/x": {"immutable": True}}},
            },
            "edge.paths./healthz/x immutable",
        ),
        (
            {
                "static": {"/": "dist"},
                "app_paths": ["/healthz"],
                "edge": {"paths": {"/login": {"cache_seconds": 1}}},
            },
            "edge.paths./login, where nginx answers with files",
        ),
    ],
)
def test_front_end_and_app_do_not_contradict_each_other(entry: dict[str, Any], what: str) -> None:
    """A deploy would fail late, or a path answer with the wrong thing."""
    assert what in only(**entry).what


@pytest.mark.parametrize(
    ("paths", "key", "what"),
    [
        ({"admin": {}}, "edge.paths.admin", "does not begin with /"),
        (
            {"/.well-known/acme-challenge": {}},
            "edge.paths./.well-known/acme-challenge",
            "reserved for ACME challenges",
        ),
        ({"/a": {"alow": []}}, "edge.paths./a.alow", "is an unknown key"),
        ({"/a": {"allow": ["10.0.0.1/8"]}}, "edge.paths./a.allow[0]", "has host bits set"),
        ({"/a": {"allow": ["office"]}}, "edge.paths./a.allow[0]", "is not an address or network"),
        ({"/a": {"users": {"a:b": "$6$salt$hash"}}}, "edge.paths./a.users.a:b", "is not a user name"),
        ({"/a": {"connections": -1}}, "edge.paths./a.connections", "is below 0"),
        ({"/a": {"cache_seconds": "1"}}, "edge.paths./a.cache_seconds", "is text, not a whole number"),
        ({"/a": {"immutable": True}}, "", "edge.paths./a immutable"),
        ({"/static/a": {"cache_seconds": 1}}, "", "edge.paths./static/a, where nginx answers with files"),
    ],
)
def test_mistakes_in_edge_paths_are_refused(paths: dict[str, Any], key: str, what: str) -> None:
    """nginx would refuse some of it later, and obey the rest in a way that nobody meant."""
    problem = only(edge={"paths": paths}, static={"/static": "static"})
    assert problem.key == key
    assert what in problem.what


def test_password_that_is_no_hash_is_refused_and_not_shown() -> None:
    """Somebody has written the password itself."""
    problem = only(edge={"paths": {"/": {"users": {"ann": "hunter2"}}}})
    assert "openssl passwd -6" in problem.fix
    assert "hunter2" not in repr(problem)


def test_unknown_key_of_a_prefix_suggests_what_was_meant() -> None:
    """As everywhere else, under a key that the operator has chosen too."""
    assert only(edge={"paths": {"/a": {"alow": []}}}).fix == "did you mean allow?"


def test_wildcard_needs_another_proof_than_the_usual() -> None:
    """The way out is said, and there are two."""
    domains = ["example.org", "*.example.org"]
    problem = only(domains=domains)
    assert (problem.key, problem.value) == ("domains[1]", '"*.example.org"')
    assert "certificate: {challenge: dns}" in problem.fix
    assert "certificate: {source: files, …}" in problem.fix
    for certificate in ({"challenge": "dns"}, {"source": "self_signed"}, {"source": "mkcert"}):
        assert problems(domains=domains, certificate=certificate) == []
    assert problems(domains=domains, certificate={"source": "acme", "challenge": "http"}) == [problem]


def test_wildcard_never_comes_first() -> None:
    """Whoever asks an app for itself needs a name that leads to it."""
    problem = only(domains=["*.example.org", "example.org"], certificate={"challenge": "dns"})
    assert (problem.key, problem.fix) == ("domains[0]", "put a single name first, as in example.org")


@pytest.mark.parametrize(
    ("certificate", "what"),
    [
        ({"source": "letsencrypt"}, "is not acme, files, self_signed or mkcert"),
        ({"challenge": "tls"}, "is not http or dns"),
        ({"source": "files", "privkey": "/k"}, "has source files without fullchain"),
        ({"source": "files", "fullchain": "/c"}, "has source files without privkey"),
        ({"fullchain": "/c", "privkey": "/k"}, "has fullchain, which belongs to source files"),
        ({"source": "mkcert", "privkey": "/k"}, "has privkey, which belongs to source files"),
        ({"source": "files", "fullchain": "c.pem", "privkey": "/k"}, "is not absolute"),
        (
            {"source": "self_signed", "challenge": "dns"},
            "has challenge dns, but source self_signed needs no challenge",
        ),
    ],
)
def test_certificate_is_of_one_source(certificate: dict[str, Any], what: str) -> None:
    """Half a source would be found out on a host, and two mean that one of them is not obeyed."""
    problem = only(certificate=certificate)
    assert problem.what == what
    assert problem.key.startswith("certificate")


@pytest.mark.parametrize(
    ("limits", "what", "fix"),
    [
        (
            {"workers": 4, "memory_max_mb": 1000},
            "has memory_max_mb 1000, but 4 workers may need 1024 MB (128 MB each, twice during a reload)",
            "write memory_max_mb: 1024 or more",
        ),
        ({"memory_max_mb": 255}, "but 1 worker may need 256 MB", "write memory_max_mb: 256 or more"),
        (
            {"worker_memory_max_mb": 127},
            "has worker_memory_max_mb 127, below worker_memory_mb (128)",
            "or a lower worker_memory_mb",
        ),
        (
            {"worker_memory_max_mb": 600, "memory_max_mb": 512},
            "has worker_memory_max_mb 600 above memory_max_mb (512)",
            "write a worker_memory_max_mb below 512",
        ),
        ({"workers": 8, "tasks_max": 17}, "and the rest are 18 processes", "write tasks_max: 18 or more"),
        (
            {"worker_class": "stock", "worker_memory_max_mb": 256},
            "which a worker of class stock does not know",
            "write worker_class: handover",
        ),
    ],
)
def test_limits_that_contradict_each_other_are_refused(limits: dict[str, Any], what: str, fix: str) -> None:
    """The app would be killed, or could not fork, at the first reload."""
    problem = only(**limits)
    assert what in problem.what
    assert fix in problem.fix


@pytest.mark.parametrize(
    "limits",
    [
        {"workers": 4, "memory_max_mb": 1024},
        {"memory_max_mb": 256},
        {"worker_memory_max_mb": 128},
        {"worker_memory_max_mb": 512, "memory_max_mb": 512},
        {"workers": 8, "tasks_max": 18},
        {"cpu_percent_max": 5},
    ],
)
def test_limits_that_just_hold_are_accepted(limits: dict[str, Any]) -> None:
    """To the megabyte."""
    assert problems(**limits) == []


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        ({"memory_max_mb": 511}, "leaves memory for 1, fewer workers than the policy"),
        ({"memory_max_mb": 767, "workers": "double"}, "leaves memory for 2, fewer workers"),
        ({"memory_max_mb": 512}, ""),
        ({"memory_max_mb": 300, "workers": 1}, ""),
        ({"memory_max_mb": 200}, ""),  # is refused
        ({"memory_max_mb": "512"}, ""),  # is refused
    ],
)
def test_limit_that_leaves_fewer_workers_than_the_policy_is_warned_of(
    limits: dict[str, Any], what: str
) -> None:
    """The number follows the host, and then the limit: the app runs, perhaps slower than one thinks."""
    found = limit_problems("app observatory", {**GOOD, **limits})
    assert [problem.is_warning for problem in found] == [True] * bool(what)
    assert all(what in problem.what for problem in found)


@pytest.mark.parametrize(
    ("changes", "key", "what"),
    [
        ({"processes": {"Worker": {"command": "x"}}}, "processes.Worker", "is not a name for a process"),
        ({"processes": {"rehearsal": {"command": "x"}}}, "processes.rehearsal", "a unit of its own"),
        ({"processes": {"worker": {}}}, "processes.worker.command", "is missing"),
        ({"processes": {"beat": {"command": "x", "once": True, "count": 2}}}, "processes.beat", "count: 2"),
        (
            {"processes": {"worker": {"command": "x", "stop_signal": "TERM"}}},
            "processes.worker.stop_signal",
            "",
        ),
        ({"timers": {"digest": {"command": "x", "schedule": " "}}}, "timers.digest.schedule", "calendar"),
        (
            {
                "processes": {"x": {"command": "x"}},
                "timers": {"x": {"command": "x", "schedule": "daily"}},
            },
            "",
            "a process and a timer of the name x",
        ),
    ],
)
def test_processes_and_timers(changes: dict[str, Any], key: str, what: str) -> None:
    """What cannot be a unit is refused."""
    problem = only(**changes)
    assert (problem.key, what in problem.what) == (key, True), problem
