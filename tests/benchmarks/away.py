"""Any number of hosts that take their time and next to no processor, as machines of their own would.

All of them are one SSH server on a host of the lab, and `stand_in.sh` in place of `farrier-release` there.
Each has an address of its own in the inventory and so a connection of its own; an option of ssh leads them
all to the same server. It lets root in, so that no processor goes into sudo, and has no PAM.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from tests.benchmarks.remote import ROOT, Remote

HOST = "fleet-away"
TOOL = "/usr/local/bin/farrier-release"
RECORD = "/var/lib/farrier-record"
ANSWERS = "/var/lib/farrier-stand-in"
PORT = 2222
SERVER = f"""\
Port {PORT}
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /home/admin/.ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 1000
PerSourcePenalties no
PidFile none
Subsystem sftp internal-sftp
"""

UNIT = """\
[Service]
ExecStart=/usr/sbin/sshd -D -f /etc/ssh/stand_in_config
TasksMax=infinity
"""

Call = dict[str, Any]


class RecordError(Exception):
    """What was recorded cannot be played."""


@dataclass(frozen=True)
class Answer:
    """What a host says to one phase.

    Args:
        call_seconds: how long the call takes.
        answer: what it says then.
        run_seconds: how long what it has started goes on after it; 0 where it starts nothing.
        run_answer: what came of that.
    """

    call_seconds: float
    answer: dict[str, Any]
    run_seconds: float = 0
    run_answer: dict[str, Any] | None = None

    def text(self) -> str:
        """Return the file that `stand_in.sh` reads."""
        hundredths = [round(100 * seconds) for seconds in (self.call_seconds, self.run_seconds)]
        return "".join(
            f"{line}\n" for line in (*hundredths, json.dumps(self.answer), json.dumps(self.run_answer))
        )


class Recorder:
    """`recorder.py` on app hosts of the lab.

    Args:
        hosts: their names.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = [Remote(host) for host in hosts]

    def __enter__(self) -> Recorder:
        program = (Path(__file__).parent / "recorder.py").read_text()
        for host in self._hosts:
            host.run("rm", "-rf", RECORD)
            host.run("mv", TOOL, f"{TOOL}.real")
            host.write(TOOL, program)
            host.run("chmod", "755", TOOL)
        return self

    def __exit__(self, *_: object) -> None:
        for host in self._hosts:
            host.run("mv", f"{TOOL}.real", TOOL)

    def calls(self) -> list[list[Call]]:
        """Return what was called on each host, in order."""
        return [
            [json.loads(line) for line in host.run("cat", f"{RECORD}/calls.jsonl").splitlines()]
            for host in self._hosts
        ]

    def outputs(self) -> dict[str, bytes]:
        """Return the files that phases have written, by phase."""
        builder = self._hosts[0]
        return {phase: builder.read_bytes(f"{RECORD}/{phase}.output") for phase in ("offer", "pack")}


def answers(recorded: Sequence[Sequence[Call]]) -> dict[str, Answer]:
    """Return what hosts have answered, by phase, with the least time that it took: more is of other hosts.

    Args:
        recorded: calls of each host.

    Raises:
        RecordError: a call has failed, or a run has not ended.
    """
    found: dict[str, list[Answer]] = {}
    for calls in recorded:
        runs: dict[str, tuple[str, Call]] = {}
        for call in calls:
            phase = call["arguments"][2]
            name = f"{phase}-check" if "--check" in call["arguments"] else phase
            result = json.loads(call["stdout"])
            if result.get("failed"):
                raise RecordError(f"{phase} has failed: {result['message']}")
            if phase == "follow":
                if not result.get("running"):
                    order = call["arguments"][call["arguments"].index("--order") + 1]
                    name, started = runs.pop(order)
                    run_seconds = _end(call) - _end(started)
                    found.setdefault(name, []).append(Answer(started["seconds"], {}, run_seconds, result))
            elif result.get("running"):
                runs[result["order"]] = name, call
            else:
                found.setdefault(name, []).append(Answer(call["seconds"], result))
        if runs:
            raise RecordError(f"these have not ended: {', '.join(name for name, _ in runs.values())}")
    return {name: _best(several) for name, several in found.items()}


def _end(call: Call) -> float:
    return float(call["began_at"] + call["seconds"])


def _best(several: Sequence[Answer]) -> Answer:
    last = several[-1]
    call_seconds = min(one.call_seconds for one in several)
    return replace(last, call_seconds=call_seconds, run_seconds=min(one.run_seconds for one in several))


def start(played: dict[str, Answer], outputs: dict[str, bytes]) -> None:
    """Start the SSH server, behind which a stand-in gives these answers. It ends with its host.

    Args:
        played: by phase.
        outputs: files that phases write, by phase.
    """
    host = Remote(HOST)
    upload_to = PurePosixPath(played["begin"].answer["upload_to"])
    host.run("mkdir", "--parents", ANSWERS, str(upload_to.parent))
    # What aborts a deploy is no part of one that succeeds, from which the others are.
    known = {"abort": Answer(0.2, {"changed": True, "message": "The deploy is aborted."}), **played}
    for name, answer in known.items():
        host.write(f"{ANSWERS}/{name}", answer.text())
    for name, content in outputs.items():
        host.write_bytes(f"{ANSWERS}/{name}.output", content)
    host.write(TOOL, (Path(__file__).parent / "stand_in.sh").read_text())
    host.run("chmod", "755", TOOL)
    host.run("chsh", "--shell", "/bin/sh", "root")
    host.write("/etc/ssh/stand_in_config", SERVER)
    host.write("/etc/systemd/system/stand-in.service", UNIT)
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "stand-in.service")


def inventory(count: int) -> dict[str, Any]:
    """Return an inventory of so many of these hosts, and an edge that nobody connects to."""
    address = Remote(HOST).address()
    lab = ROOT / "build/lab"
    options = {
        "HostName": address,
        "HostKeyAlias": address,
        "UserKnownHostsFile": lab / f"known_hosts/{address}",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
    }
    app_hosts = {
        f"away{number}": {"ansible_host": f"10.78.{number // 250}.{number % 250 + 1}"}
        for number in range(1, count + 1)
    }
    variables = {
        "ansible_user": "root",
        "ansible_become": False,
        "ansible_port": PORT,
        "ansible_ssh_private_key_file": str(lab / "id_ed25519"),
        "ansible_ssh_common_args": " ".join(f"-o {key}={value}" for key, value in options.items()),
        "certbot_agree_tos": True,
    }
    edge = {"away-edge": {"ansible_host": "10.78.255.1"}}
    return {"all": {"vars": variables, "children": {"edge": {"hosts": edge}, "app": {"hosts": app_hosts}}}}
