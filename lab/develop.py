"""`make develop APP=path`: serve a working tree in a lab host until Ctrl+C, and leave nothing behind."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from lab.working_tree import NotFoundError, choose, entry, server

ROOT = Path(__file__).resolve().parents[1]
LAB = ROOT / "lab"
INVENTORY = ROOT / "inventories/develop"
DIRECTORY = ROOT / "build/lab/develop"
HOST = "develop"
TOOLS = {
    "podman": "runs the host",
    "mkcert": "makes its certificate (sudo apt install mkcert && mkcert -install)",
}
PORTS = (22, 443)
PROBE_SECONDS = 1
HOSTS_FILE = Path("/etc/hosts")


def main() -> int:
    """Serve until a signal comes, or stop what an earlier call has left. Returns an exit code."""
    parser = argparse.ArgumentParser(prog="make develop", description=__doc__)
    parser.add_argument("app", nargs="?", default="", help="the working tree")
    parser.add_argument("--module", default="", help="package.module:attribute of its application")
    parser.add_argument("--inventory", default="", help="where its entry in `apps` is")
    parser.add_argument("--name", default="", help="of this entry")
    parser.add_argument("--stop", action="store_true", help="stop what an earlier call has left")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    if options.stop:
        return stop()
    try:
        what = prepared(options)
    except (NotFoundError, OSError) as error:
        print(f"make develop: {error}. Nothing was changed.", file=sys.stderr)
        return 2
    try:
        serve(what)
    except KeyboardInterrupt:
        return stop()
    except subprocess.CalledProcessError:
        stop()
        print("make develop: the host could not be made; the failure is above.", file=sys.stderr)
        return 1
    return stop()


def prepared(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the playbook has to know.

    Raises:
        NotFoundError: bad input, or something is missing or in the way.
    """
    tree = Path(options.app).expanduser().resolve()
    if not options.app or not tree.is_dir():
        raise NotFoundError(f"{options.app or 'nothing'} is not a directory. Say which one: APP=path")
    known = choose(_apps(options.inventory), tree, options.name) if options.inventory else None
    app, found = entry(tree, options.module, known)
    check_machine(app["domains"][0])
    project = tree / (app["source"].get("subdir") or "")
    owner = project.stat()
    command = server(project, app)
    return {"app": app, "server": command, "root": found.root, "uid": owner.st_uid, "gid": owner.st_gid}


def check_machine(domain: str) -> None:
    """Refuse to begin where a tool is missing, or name or address of the host are taken.

    Raises:
        NotFoundError: says which, and what to do.
    """
    for tool, purpose in TOOLS.items():
        if not shutil.which(tool):
            raise NotFoundError(f"{tool} is missing, which {purpose}")
    exists = subprocess.run([LAB / "podman", "container", "exists", HOST], check=False).returncode == 0
    if exists or DIRECTORY.exists():
        raise NotFoundError("It runs already, or was killed. `make develop-stop` ends it and cleans up")
    hosts = yaml.safe_load((INVENTORY / "hosts.yml").read_text())["all"]["children"]["lab"]["hosts"]
    address = hosts[HOST]["ansible_host"]
    for port in PORTS:
        with socket.socket() as probe:
            probe.settimeout(PROBE_SECONDS)
            if probe.connect_ex((address, port)) == 0:
                raise NotFoundError(f"{address}, the address of the lab host, is in use: port {port} answers")
    for line in HOSTS_FILE.read_text().splitlines():
        if domain in line.partition("#")[0].split()[1:]:
            raise NotFoundError(f"{domain} is in /etc/hosts already: {line}. Remove the line")


def serve(what: dict[str, Any]) -> None:
    """Start the host, and show what the app says for as long as it runs.

    Raises:
        subprocess.CalledProcessError: the host or the app's environment could not be made.
    """
    DIRECTORY.mkdir(parents=True, mode=0o700)
    file = DIRECTORY / "app.json"
    file.touch(mode=0o600)  # the app's secrets are in it
    file.write_text(json.dumps(what))
    run("develop.yml")
    name, domain, path = (what["app"].get(key) for key in ("name", "domains", "path"))
    url = f"https://{domain[0]}{path or '/'}"
    print(f"\n{url} serves {what['app']['source']['path']}. Ctrl+C stops it without a trace.\n", flush=True)
    journal = ["journalctl", "--follow", "--lines=all", "--output=cat", f"--identifier={name}"]
    subprocess.run([LAB / "podman", "exec", HOST, *journal], check=False)


def stop() -> int:
    """Remove the host and all else. A second Ctrl+C does not keep it from that. Returns an exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run("develop_stop.yml")
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


def run(playbook: str) -> None:
    """Run a playbook of the lab on the inventory of development.

    Raises:
        subprocess.CalledProcessError: it failed.
        KeyboardInterrupt: a signal came; the playbook has ended by then.
    """
    process = subprocess.Popen(["ansible-playbook", "-i", INVENTORY, LAB / playbook], cwd=ROOT)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    if code:
        raise subprocess.CalledProcessError(code, playbook)


def _apps(inventory: str) -> list[dict[str, Any]]:
    """`apps` of an inventory, its templates resolved and its vaults opened."""
    environment = {
        **os.environ,
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0",
    }
    command = ["ansible", "-i", inventory, "app[0]", "-m", "ansible.builtin.debug", "-a", "var=apps"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    try:
        apps = json.loads(done.stdout.partition("=>")[2])["apps"]
        assert isinstance(apps, list)
    except (ValueError, KeyError, AssertionError):
        raise NotFoundError(f"{inventory} has no host of the group app with a list `apps`") from None
    return apps


if __name__ == "__main__":
    sys.exit(main())
