"""What there is of the kit on a host: its units, its files and its app; and the takeover as a whole."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from tests.harness.deploys import AppHost, Run, State
from tests.harness.load import Report

APP = "observatory"
# Names that the kit gives, or that it takes over from a package.
OF_THE_KIT = rf"farrier|{APP}|nginx/(nginx\.conf|drained|maintenance|users)|policy-rc\.d"
PLACES = "/etc /usr/local /usr/sbin/policy-rc.d"
# Files, links and directories with nothing in them; neither what Python compiles nor what certbot keeps.
FILES = (
    rf"find {PLACES} -xdev \( -name __pycache__ -o -path /etc/letsencrypt \) -prune"
    rf" -o \( ! -type d -o -empty \) -print | grep --extended-regexp '{OF_THE_KIT}' | sort"
)
# Without those of logins, and without the watch over a new release, of 0.1 or of today: it ends by itself.
UNITS = (
    "systemctl show --property=Id,InvocationID --state=active '*.service' '*.socket' '*.timer'"
    " | paste --serial --delimiters='  \\n' | grep --invert-match --extended-regexp"
    " --regexp='user|-(watch|transaction)[.]'"
)


@dataclass(frozen=True)
class Sight:
    """A host at one moment.

    Args:
        state: the app.
        units: what systemd calls the present life of each active unit, by the unit's name.
        files: digest of each file of the kit, by its path; "" of a link or a directory.
    """

    state: State
    units: dict[str, str]
    files: dict[str, str]

    @property
    def main_pid(self) -> int:
        """Process id of the app's master."""
        return int(self.state.status["service"]["main_pid"])


def see(app: AppHost) -> Sight:
    """Look at a host when nothing works on the app any more."""
    state = app.wait_until_quiet()
    units = dict(
        re.findall(r"Id=(\S+) +InvocationID=(\S*)|$", app.host.check_output(UNITS), re.MULTILINE),
    )
    listed = app.host.check_output(
        f"{FILES} | while read -r path; do test -f $path && test ! -L $path"
        ' && sha256sum $path || echo "- $path"; done'
    )
    files = {path: digest.strip("-") for digest, path in map(str.split, listed.splitlines())}
    return Sight(state, units, files)


def remove(app: AppHost, paths: set[str]) -> None:
    """Remove files, links and empty directories."""
    app.host.check_output("rm --recursive " + " ".join(map(shlex.quote, sorted(paths))))


def restarted(before: Sight, after: Sight) -> set[str]:
    """Units that have ended in between, whether or not they have begun anew."""
    return {name for name, life in before.units.items() if after.units.get(name) != life}


def changed_files(before: Sight, after: Sight) -> set[str]:
    """Files that are new, other or gone."""
    return {path for path, _ in before.files.items() ^ after.files.items()}


def changed_tasks(run: Run, name: str) -> list[str]:
    """Names of the tasks that have changed something on a host."""
    found = []
    task = ""
    for line in run.output.splitlines():
        heading = re.match(r"TASK [^\[]*\[(.*)\]|RUNNING HANDLER [^\[]*\[(.*)\]", line)
        if heading:
            task = heading[1] or heading[2]
        elif line.startswith(f"changed: [{name}]"):
            found.append(task)
    return found


def changes(run: Run, name: str) -> int:
    """Number of changes on a host that the run counts."""
    counted = re.search(rf"^{name} +: ok=\d+ +changed=(\d+)", run.output, re.MULTILINE)
    assert counted, f"no line of {name} at the end:\n{run.output}"
    return int(counted[1])


@dataclass(frozen=True)
class Takeover:
    """All that was done to the hosts, and what there was on each after each step.

    Args:
        installed: by v0.1.
        taken: after the first site.yml.
        deployed: after a deploy.
        back: after the rollback.
        again: after the second site.yml.
        runs: of the playbooks, by the label that the load has of them.
        reports: what the clients of each host saw.
    """

    installed: dict[str, Sight]
    taken: dict[str, Sight]
    deployed: dict[str, Sight]
    back: dict[str, Sight]
    again: dict[str, Sight]
    runs: dict[str, Run]
    reports: dict[str, Report]
