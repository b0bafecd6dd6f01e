"""HTTP/3 in nginx's configuration as the role's templates make it, and where the role refuses it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.playbooks import ROOT, Play, run_in

ROLE = ROOT / "roles/nginx"
FACTS = {
    "version": "1.26.3",
    "candidate": "",
    "openssl": "3.5.1",
    "has_http3": True,
    "drained": [],
    "ipv6": True,
}
APPS = """
- name: shop
  domains: [shop.example.org, www.shop.example.org]
  source: {path: /srv}
  module: shop.main:app
  edge: {redirect_to_first_domain: true, paths: {/rates: {cache_seconds: 1}}}
- name: blog
  domains: [blog.example.org]
  source: {path: /srv}
  module: blog.main:app
  static: {/static: static}
  worker_class: stock
"""

Files = dict[str, str]


def play(*tasks: dict[str, Any], facts: dict[str, Any] | None = None) -> str:
    """Return a playbook that knows the role's variables and runs none of its tasks but those given."""
    known = {
        "farrier_nginx": facts or FACTS,
        "nginx_apps": "{{ apps | farrier.kit.app_defaults }}",
        "cacheable": True,
    }
    return yaml.safe_dump(
        [
            {
                "name": "Check settings without installing",
                "hosts": "localhost",
                "connection": "local",
                "gather_facts": False,
                "vars_files": [str(ROLE / f"{kind}/main.yml") for kind in ("defaults", "vars")],
                "vars": {"apps": yaml.safe_load(APPS)},
                "tasks": [{"name": "Set the facts of the host", "ansible.builtin.set_fact": known}, *tasks],
            }
        ]
    )


def written(on: bool, path: Path) -> dict[str, Any]:
    """Return a task that writes every file of nginx to one file."""
    content = {"content": "{{ __nginx_files | to_json }}", "dest": str(path), "mode": "0644"}
    return {"name": path.name, "ansible.builtin.copy": content, "vars": {"nginx_http3": on}}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Files]:
    """The files of nginx by their paths, with HTTP/3 and without."""
    directory = tmp_path_factory.mktemp("nginx")
    (directory / "templates").symlink_to(ROLE / "templates")
    paths = {on: directory / f"{on}.json" for on in (True, False)}
    run = run_in(directory, play(*(written(on, path) for on, path in paths.items())))
    assert run.returncode == 0, run.stdout + run.stderr
    return {on: json.loads(path.read_text()) for on, path in paths.items()}


def servers(files: Files) -> list[str]:
    """Return the blocks `server` of all files."""
    return [block for text in files.values() for block in re.split(r"^ *(?=server \{)", text, flags=re.M)[1:]]


def test_http3_is_off_unless_asked_for(files: dict[bool, Files]) -> None:
    """An nginx without it, as Debian 12's, refuses a configuration with a word of it; and UDP stays shut."""
    assert not re.search(r"quic|http3|alt-svc", "".join(files[False].values()), re.I)


def test_every_site_answers_over_http3(files: dict[bool, Files]) -> None:
    """On every address on which it answers over TLS, redirected domains too: clients are called there."""
    secured = [server for server in servers(files[True]) if "443 ssl" in server]
    assert len(secured) == 4  # shop, its redirected domain, blog, and names that nobody has
    for server in secured:
        listening = {
            transport: re.findall(rf"listen (\S*443) {transport}\b", server) for transport in ("ssl", "quic")
        }
        assert listening["ssl"] == listening["quic"] == ["443", "[::]:443"]


def test_unknown_names_get_nothing_over_http3(files: dict[bool, Files]) -> None:
    """Without a default of its own, QUIC would answer them as the first site of all, with its certificate."""
    (default,) = (server for server in servers(files[True]) if "443 quic default_server" in server)
    assert "ssl_reject_handshake on;" in default.partition("}")[0]


def test_sockets_are_shared_out_once_for_each_address(files: dict[bool, Files]) -> None:
    """nginx refuses `reuseport` twice; without it packets come to processes that do not know the client."""
    shared = re.findall(r"listen (\S+) quic[^;]* reuseport", "".join(files[True].values()))
    assert shared == ["443", "[::]:443"]


def test_clients_are_told_wherever_headers_are(files: dict[bool, Files]) -> None:
    """A location with a header of its own has none of the server's: all of them come from one file."""
    alternative = [path for path, text in files[True].items() if "Alt-Svc" in text]
    assert alternative == ["farrier/headers.conf"]
    places = re.split(r"^    (?=location )", files[True]["farrier/apps/blog.conf"], flags=re.M)[1:]
    for place in places:
        assert "add_header" not in place or "include farrier/headers.conf;" in place


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        ({"version": "1.22.1"}, "localhost, which has nginx 1.22.1, built without HTTP/3"),
        ({"version": "", "candidate": "1.22.1"}, "localhost, which would get nginx 1.22.1, built without"),
    ],
    ids=["installed", "to be installed"],
)
def test_it_is_refused_where_nginx_has_it_not(
    run_playbook: Play, known: dict[str, str], problem: str
) -> None:
    """By host, version and what to do, instead of nginx's word for a parameter that it does not know."""
    tasks = yaml.safe_load((ROLE / "tasks/preflight.yml").read_text())
    (asked,) = (task for task in tasks if "HTTP/3" in task["name"])
    wanted = asked | {"vars": asked["vars"] | {"nginx_http3": True}}
    run = run_playbook(play(asked, wanted, facts=FACTS | {"has_http3": False} | known))
    assert run.returncode != 0
    assert "ok=2" in run.stdout, "refused where it was not asked for"
    for text in (problem, "Set nginx_http3 to false for this host", "Debian 13", "Nothing was changed"):
        assert text in run.stdout, run.stdout


def test_who_holds_the_port_is_named_with_its_protocol(run_playbook: Play) -> None:
    """A VPN on UDP 443 keeps a host from HTTP/3 alone, so that is what the host can do without."""
    vpn = {"port": 443, "protocol": "udp", "process": "openvpn", "pid": 7, "unit": "openvpn.service"}
    tasks = yaml.safe_load((ROLE / "tasks/preflight.yml").read_text())
    (asked,) = (task for task in tasks if "ports of nginx" in task["name"])
    run = run_playbook(play(asked, facts=FACTS | {"listeners": [vpn]}))
    assert run.returncode != 0
    for text in (
        "UDP port 443 of localhost is held by openvpn (pid 7, openvpn.service)",
        "nginx_http3 false",
    ):
        assert text in run.stdout, run.stdout
