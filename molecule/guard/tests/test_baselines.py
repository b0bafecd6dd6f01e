"""The controls of dev-sec's linux-baseline 2.10 and ssh-baseline 2.8, by checks of our own, with verdicts.

A control passes, or it is left out for a reason that docs/guard.md gives; then it must not pass. A parameter
that a container cannot have is looked up in the role.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import yaml
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[3]
GUIDE = (ROOT / "docs/guard.md").read_text()
OF_THE_ROLE = yaml.safe_load((ROOT / "roles/base/defaults/main.yml").read_text())["base_kernel_settings"]
PATHS = "/usr/local/bin:/usr/bin:/bin"
ROOTS_PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GCM = "aes256-gcm@openssh.com,aes128-gcm@openssh.com"
CIPHERS = f"chacha20-poly1305@openssh.com,{GCM},aes256-ctr,aes192-ctr,aes128-ctr"
# Those that the baseline has, and those that OpenSSH has got since.
KEX = "sntrup761x25519-sha512@openssh.com curve25519-sha256@libssh.org diffie-hellman-group-exchange-sha256"
NEW_KEX = "mlkem768x25519-sha256 sntrup761x25519-sha512 curve25519-sha256"
ETM = "hmac-sha2-512-etm@openssh.com hmac-sha2-256-etm@openssh.com umac-128-etm@openssh.com"
MACS = f"{ETM} hmac-sha2-512 hmac-sha2-256"
# With rights of root or of a group, of those that the baseline names what Debian may have.
SUID = {
    *(f"/usr/bin/{name}" for name in ("rcp", "rlogin", "rsh", "lockfile", "dotlockfile", "arping", "mtr")),
    *(f"/usr/bin/mail-{name}" for name in ("lock", "unlock", "touchlock")),
    *(f"/usr/sbin/{name}" for name in ("usernetctl", "userisdnctl", "pppd", "arping", "uuidd")),
    *("/usr/lib/openssh/ssh-keysign", "/usr/lib/pt_chown", "/usr/lib/eject/dmcrypt-get-device"),
}


class Facts:
    """What a host says, each command once."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._said: dict[str, str] = {}

    def said(self, command: str) -> str:
        """What a command prints."""
        if command not in self._said:
            self._said[command] = self._host.check_output(command)
        return self._said[command]

    def pairs(self, command: str) -> dict[str, str]:
        """What a command prints in lines of keyword and value; the values of a keyword that is repeated."""
        found: dict[str, str] = {}
        for keyword, value in re.findall(r"^([^\s#=]\S*)[\s=]+(.*?)\s*$", self.said(command), re.MULTILINE):
            found[keyword] = f"{found[keyword]} {value}" if keyword in found else value
        return found

    def mode(self, path: str) -> str:
        """Owner, group and mode of a file, "" if there is none."""
        return self.said(f"stat --format='%U:%G %a' {path} 2>/dev/null || true")

    def packages(self) -> set[str]:
        """The packages that are installed."""
        return set(self.said("dpkg-query --show --showformat='${Package}\n'").split())

    def mounts_without(self, option: str, below: str) -> list[str]:
        """Those of some mount points that are mounted without an option."""
        mounted = self.pairs("findmnt --noheadings --list --output=TARGET,OPTIONS")
        return [path for path in below.split() if path in mounted and option not in mounted[path].split(",")]


Check = Callable[[Facts], bool]


def sshd(keyword: str, *values: str) -> Check:
    """What the server goes by."""
    return lambda facts: facts.pairs("sshd -T").get(keyword) in values


def ssh(keyword: str, *values: str) -> Check:
    """What the client goes by."""
    return lambda facts: facts.pairs("ssh -G example.org").get(keyword) in values


def subset(keyword: str, known: str) -> Check:
    """The server offers no algorithm that is not known to be good."""
    return lambda facts: set(facts.pairs("sshd -T")[keyword].split(",")) <= set(known.split())


def login(**wanted: str) -> Check:
    """What login.defs says."""
    return lambda facts: wanted.items() <= facts.pairs("cat /etc/login.defs").items()


def kernel(*names: str, value: str) -> Check:
    """The value of parameters; those of the whole machine as the role has them."""

    def check(facts: Facts) -> bool:
        live = facts.pairs("sysctl --all 2>/dev/null")
        found = (live.get(name) if name.startswith("net.") else str(OF_THE_ROLE.get(name)) for name in names)
        return all(one in value.split("|") for one in found)

    return check


def without(*packages: str) -> Check:
    """None of these packages is there."""
    return lambda facts: not facts.packages() & set(packages)


def unloadable(modules: str) -> Check:
    """These modules cannot be loaded."""
    return lambda facts: all(
        re.search(rf"^install {name} /bin/(true|false)$", facts.said("cat /etc/modprobe.d/*"), re.MULTILINE)
        for name in modules.split()
    )


def all_and_default(name: str, family: str = "ipv4") -> tuple[str, str]:
    """A parameter of all interfaces, and of those that are to come."""
    return f"net.{family}.conf.all.{name}", f"net.{family}.conf.default.{name}"


def unique(command: str) -> Check:
    """What a command prints has no line twice."""
    return lambda facts: len(set(facts.said(command).split())) == len(facts.said(command).split())


RA = "IPv6 addresses by router advertisement"
CLIENT = "Settings of the SSH client"
PARTITIONS = "/boot /dev/shm /run /tmp /var/log /var/log/audit /var/tmp"
PASSES: dict[str, Check] = {
    "os-01": lambda facts: facts.mode("/etc/hosts.equiv") == "",
    "os-02": lambda facts: facts.mode("/etc/shadow") == "root:shadow 640",
    "os-03": lambda facts: facts.mode("/etc/passwd") == "root:root 644",
    "os-03b": lambda facts: set(facts.said("cut -d: -f2 /etc/passwd").split()) <= {"x", "*"},
    "os-04": lambda facts: not {"", "."} & set(facts.said("bash -lc 'echo $PATH'").split(":")),
    "os-05": lambda facts: (
        facts.mode("/etc/login.defs") == "root:root 644"
        and ROOTS_PATHS in facts.pairs("cat /etc/login.defs")["ENV_SUPATH"]
        and PATHS in facts.pairs("cat /etc/login.defs")["ENV_PATH"]
    ),
    "os-05 ids and tries": login(
        UID_MIN="1000", GID_MIN="1000", LOGIN_RETRIES="5", LOGIN_TIMEOUT="60", PASS_WARN_AGE="7"
    ),
    "os-06": lambda facts: not SUID & set(facts.said("find / -xdev -type f -perm /6000").split()),
    "os-07": unique("cut -d: -f3 /etc/passwd"),
    "os-07 groups": unique("cut -d: -f3 /etc/group"),
    "os-09": lambda facts: facts.said(r"find / -xdev -maxdepth 3 -iregex '.*/\.\(rhosts\|netrc\)'") == "",
    "os-10": unloadable("cramfs freevxfs hfs hfsplus jffs2"),
    "os-11": lambda facts: facts.mode("/var/log").startswith("root:root "),
    "os-13": lambda facts: {facts.mode("/etc/cron.d"), facts.mode("/etc/cron.daily")} == {"root:root 700"},
    "os-15": lambda facts: not facts.mounts_without("nosuid", f"/dev /home /var {PARTITIONS}"),
    "os-16": lambda facts: not facts.mounts_without("nodev", f"/home /var {PARTITIONS}"),
    "package-01": without("inetd", "xinetd", "openbsd-inetd", "inetutils-inetd"),
    "package-02": without("telnetd", "telnetd-ssl", "inetutils-telnetd"),
    "package-03": without("rsh-server", "rsh-redone-server"),
    "package-05": without("ypserv", "nis"),
    "package-06": without("tftp-server", "tftpd", "tftpd-hpa", "atftpd"),
    "package-09": without("prelink"),
    "sysctl-03": kernel("net.ipv4.icmp_ignore_bogus_error_responses", value="1"),
    "sysctl-04": kernel("net.ipv4.icmp_echo_ignore_broadcasts", value="1"),
    "sysctl-05": kernel("net.ipv4.icmp_ratelimit", value="100"),
    "sysctl-06": kernel("net.ipv4.icmp_ratemask", value="88089"),
    "sysctl-09": kernel("net.ipv4.conf.all.arp_announce", value="2"),
    "sysctl-10": kernel("net.ipv4.tcp_rfc1337", value="1"),
    "sysctl-11": kernel("net.ipv4.tcp_syncookies", value="1"),
    "sysctl-12": kernel(*all_and_default("shared_media"), value="1"),
    "sysctl-13": kernel(
        *all_and_default("accept_source_route"), *all_and_default("accept_source_route", "ipv6"), value="0"
    ),
    "sysctl-14": kernel(*all_and_default("accept_redirects"), value="0"),
    "sysctl-15": kernel(*all_and_default("secure_redirects"), value="0"),
    "sysctl-16": kernel(*all_and_default("send_redirects"), value="0"),
    "sysctl-19": kernel("net.ipv6.conf.all.forwarding", value="0"),
    "sysctl-20": kernel(*all_and_default("accept_redirects", "ipv6"), value="0"),
    "sysctl-30": kernel("kernel.sysrq", value="0"),
    "sysctl-31a": kernel("fs.suid_dumpable", value="0|2"),
    "sysctl-32": kernel("kernel.randomize_va_space", value="2"),
    "sysctl-34": kernel("fs.protected_hardlinks", "fs.protected_symlinks", "fs.protected_fifos", value="1|2"),
    "sysctl-34 files": kernel("fs.protected_regular", value="2"),
    "ssh-01": lambda facts: facts.mode("/etc/ssh/ssh_config") == "root:root 644",
    "ssh-02": ssh("addressfamily", "any", "inet", "inet6"),
    "ssh-03": ssh("port", "22"),
    "ssh-05": ssh("batchmode", "no"),
    "ssh-07": ssh("stricthostkeychecking", "ask", "yes", "true"),
    "ssh-11": ssh("forwardagent", "no"),
    "ssh-12": ssh("forwardx11", "no"),
    "ssh-13": ssh("hostbasedauthentication", "no"),
    "ssh-18": ssh("gssapidelegatecredentials", "no"),
    "ssh-19": ssh("tunnel", "no", "false"),
    "ssh-20": ssh("permitlocalcommand", "no"),
    "sshd-01": sshd("ciphers", CIPHERS),
    "sshd-02": subset("kexalgorithms", f"{KEX} {NEW_KEX}"),
    "sshd-03": subset("macs", MACS),
    "sshd-04": lambda facts: facts.mode("/etc/ssh") == "root:root 755",
    "sshd-05": lambda facts: facts.mode("/etc/ssh/sshd_config") == "root:root 600",
    "sshd-06": sshd("permitrootlogin", "no", "without-password", "prohibit-password"),
    "sshd-07": sshd("port", "22"),
    "sshd-08": sshd("addressfamily", "any", "inet", "inet6"),
    "sshd-09": lambda facts: facts.pairs("sshd -T")["listenaddress"] != "",
    "sshd-11": sshd("strictmodes", "yes"),
    "sshd-12": sshd("syslogfacility", "AUTH"),
    "sshd-13": sshd("loglevel", "VERBOSE"),
    "sshd-17": sshd("permituserenvironment", "no"),
    "sshd-18": sshd("logingracetime", "30"),
    "sshd-20": sshd("maxsessions", "10"),
    "sshd-21": sshd("maxstartups", "10:30:60"),
    "sshd-22": sshd("pubkeyauthentication", "yes"),
    "sshd-23": sshd("ignorerhosts", "yes"),
    "sshd-24": sshd("ignoreuserknownhosts", "yes"),
    "sshd-25": sshd("hostbasedauthentication", "no"),
    "sshd-27": sshd("passwordauthentication", "no"),
    "sshd-28": sshd("permitemptypasswords", "no"),
    "sshd-29": sshd("kbdinteractiveauthentication", "no"),
    "sshd-30": sshd("kerberosauthentication", "no"),
    "sshd-31": sshd("kerberosorlocalpasswd", "no"),
    "sshd-32": sshd("kerberosticketcleanup", "yes"),
    "sshd-33": sshd("gssapiauthentication", "no"),
    "sshd-34": sshd("gssapicleanupcredentials", "yes"),
    "sshd-35": sshd("tcpkeepalive", "no"),
    "sshd-36": sshd("clientaliveinterval", "300"),
    "sshd-38": sshd("permittunnel", "no"),
    "sshd-40": sshd("allowagentforwarding", "no"),
    "sshd-41": sshd("gatewayports", "no"),
    "sshd-42": sshd("x11forwarding", "no"),
    "sshd-43": sshd("x11uselocalhost", "yes"),
    "sshd-44": sshd("printmotd", "no"),
    "sshd-46": sshd("banner", "none"),
    "sshd-47": lambda facts: "DebianBanner no" in facts.said("cat /etc/ssh/sshd_config.d/00-farrier.conf"),
    "sshd-48": lambda facts: facts.said("awk '$5 ~ /^[0-9]+$/ && $5 < 2047' /etc/ssh/moduli") == "",
    "sshd-49": lambda facts: " -o" not in facts.said("pgrep --list-full --full --oldest 'sshd.* -D'"),
}
# Each with the words of docs/guard.md that say why.
LEFT_OUT: dict[str, tuple[Check, str]] = {
    "os-05 ageing": (login(PASS_MAX_DAYS="60", PASS_MIN_DAYS="7"), "Ageing of passwords"),
    "os-05 umask": (login(UMASK="027"), "`UMASK 027`"),
    "os-10 in use": (unloadable("squashfs udf vfat"), "`squashfs`, `udf`, `vfat`"),
    "os-14": (lambda facts: not facts.mounts_without("noexec", f"/dev {PARTITIONS}"), "`noexec` on `/tmp`"),
    "package-08": (lambda facts: "auditd" in facts.packages(), "auditd"),
    "sysctl-01": (kernel("net.ipv4.ip_forward", value="0"), "`net.ipv4.ip_forward = 0`"),
    "sysctl-02": (kernel(*all_and_default("rp_filter"), value="1"), "`rp_filter = 1`"),
    "sysctl-07": (kernel("net.ipv4.tcp_timestamps", value="0"), "`net.ipv4.tcp_timestamps = 0`"),
    "sysctl-08": (kernel("net.ipv4.conf.all.arp_ignore", value="1|2"), "`net.ipv4.conf.all.arp_ignore`"),
    "sysctl-17": (kernel(*all_and_default("log_martians"), value="1"), "`net.ipv4.conf.all.log_martians`"),
    "sysctl-21": (kernel(*all_and_default("router_solicitations", "ipv6"), value="0"), RA),
    "sysctl-22": (kernel("net.ipv6.conf.default.accept_ra_rtr_pref", value="0"), RA),
    "sysctl-23": (kernel("net.ipv6.conf.default.accept_ra_pinfo", value="0"), RA),
    "sysctl-24": (kernel("net.ipv6.conf.default.accept_ra_defrtr", value="0"), RA),
    "sysctl-25": (kernel(*all_and_default("accept_ra", "ipv6"), value="0"), RA),
    "sysctl-26": (kernel(*all_and_default("autoconf", "ipv6"), value="0"), RA),
    "sysctl-27": (kernel("net.ipv6.conf.default.dad_transmits", value="0"), RA),
    "sysctl-28": (kernel("net.ipv6.conf.default.max_addresses", value="1"), RA),
    "sysctl-35": (kernel("kernel.yama.ptrace_scope", value="2|3"), "`kernel.yama.ptrace_scope = 2`"),
    "ssh-06": (ssh("checkhostip", "yes"), CLIENT),
    "ssh-08": (ssh("ciphers", CIPHERS), CLIENT),
    "ssh-09": (ssh("kexalgorithms", KEX.replace(" ", ",")), CLIENT),
    "ssh-10": (ssh("macs", MACS.replace(" ", ",")), CLIENT),
    "ssh-16": (ssh("passwordauthentication", "no"), CLIENT),
    "ssh-17": (ssh("gssapiauthentication", "no"), CLIENT),
    "ssh-22": (ssh("ciphers", CIPHERS), CLIENT),
    "sshd-14": (
        sshd("hostkey", " ".join(f"/etc/ssh/ssh_host_{kind}_key" for kind in ("rsa", "ecdsa", "ed25519"))),
        "That of ECDSA is no longer offered",
    ),
    "sshd-19": (sshd("maxauthtries", "2"), "`MaxAuthTries 3`"),
    "sshd-37": (sshd("clientalivecountmax", "3"), "`ClientAliveCountMax 3`"),
    "sshd-39": (sshd("allowtcpforwarding", "no"), "`ssh_tcp_forwarding: local`"),
    "sshd-45": (sshd("printlastlog", "no"), "`PrintLastLog no`"),
    "sshd-50": (
        lambda facts: int(facts.said("ssh-keygen -lf /etc/ssh/ssh_host_rsa_key").split()[0]) >= 4096,
        "RSA from 3072 bits",
    ),
}
# Of other distributions, older versions of OpenSSH, and the processor.
NOT_OF_THESE_HOSTS = {
    *("os-05b", "os-12", "sysctl-29", "sysctl-31b", "sysctl-33"),
    *("ssh-04", "ssh-14", "ssh-15", "ssh-21", "sshd-10", "sshd-15", "sshd-16"),
}


def controls(prefix: str, last: int, *, but: str = "", also: str = "") -> set[str]:
    """Names of controls."""
    numbered = {f"{prefix}-{number:02}" for number in range(1, last + 1)}
    return (numbered | {f"{prefix}-{one}" for one in also.split()}) - {
        f"{prefix}-{one}" for one in but.split()
    }


def test_every_control_has_a_verdict() -> None:
    """And what is left out has its reason in the guide."""
    known = {name.split()[0] for name in {*PASSES, *LEFT_OUT}} | NOT_OF_THESE_HOSTS
    assert known == {
        *controls("os", 16, but="08", also="03b 05b"),
        *controls("package", 9, but="04 07"),
        *controls("sysctl", 35, but="18 31", also="31a 31b"),
        *controls("ssh", 22),
        *controls("sshd", 50, but="26"),
    }
    assert [words for _, words in LEFT_OUT.values() if words not in GUIDE] == []


def test_controls_have_their_verdicts(host: Host) -> None:
    """What passes does so, and what is left out does not."""
    facts = Facts(host)
    fails = [name for name, check in PASSES.items() if not check(facts)]
    passes = [name for name, (check, _) in LEFT_OUT.items() if check(facts)]
    assert {"fails": fails, "left out": passes} == {"fails": [], "left out": []}
