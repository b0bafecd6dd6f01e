"""What an app writes into its media nginx serves, and nobody else can read."""

from __future__ import annotations

from testinfra.host import Host

CURL = "curl -ksS --resolve uploads.lab.test:443:127.0.0.1"
SITE = "https://uploads.lab.test"
DIRECTORY = "/var/lib/farrier/uploads/files/uploads"


def test_uploads_are_served_as_data(host: Host) -> None:
    """A page that somebody has uploaded runs no script in the name of the site."""
    put = "--request PUT --data-binary '<script>alert(1)</script>'"
    host.check_output(f"{CURL} {put} {SITE}/upload/2026/a.html")
    head = host.check_output(f"{CURL} --include {SITE}/media/2026/a.html").lower()
    assert head.startswith("http/2 200")
    assert "x-content-type-options: nosniff" in head
    assert "script-src 'none'" in head


def test_a_boot_and_a_start_leave_it_readable(host: Host) -> None:
    """What systemd does with the directory when the app starts, and tmpfiles at boot."""
    host.check_output("systemctl restart uploads.service")
    host.check_output("systemd-tmpfiles --create")
    host.check_output(f"{CURL} --request PUT --data again {SITE}/upload/2026/b.txt")
    assert host.check_output(f"{CURL} {SITE}/media/2026/b.txt") == "again"


def test_nobody_else_reads_them_and_links_lead_nowhere(host: Host) -> None:
    """nginx alone reads there, and writes nothing."""
    host.check_output(f"ln -sfn /etc/passwd {DIRECTORY}/link")
    assert host.check_output(f"{CURL} -o /dev/null -w '%{{http_code}}' {SITE}/media/link") == "403"
    assert host.run(f"runuser -u plain -- ls {DIRECTORY}").rc != 0
    assert host.run(f"runuser -u www-data -- touch {DIRECTORY}/own").rc != 0
    assert host.run("runuser -u www-data -- ls /var/lib/farrier/uploads").rc != 0
