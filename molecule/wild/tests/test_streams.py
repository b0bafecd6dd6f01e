"""What an app makes piece by piece reaches the client piece by piece."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
from testinfra.host import Host

TOKENS = 5
SECONDS_BETWEEN_TOKENS = 0.5


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
@pytest.mark.parametrize("encoding", [(), ("--header", "Accept-Encoding: gzip")], ids=["plain", "gzip"])
@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
def test_each_token_comes_when_it_is_made(
    host: Host, protocol: str, encoding: tuple[str, ...], accept: str
) -> None:
    """Whatever the client asks for, and however it is compressed."""
    address = host.check_output("hostname -I").split()[0]
    command = ["curl", "-ksSN", protocol, "--resolve", f"tokens.lab.test:443:{address}"]
    command += [*encoding, "--header", f"Accept: {accept}", "https://tokens.lab.test/tokens"]
    times = []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        assert curl.stdout
        while os.read(curl.stdout.fileno(), 4096):
            times.append(time.monotonic())
    assert curl.returncode == 0
    assert len(times) >= TOKENS
    assert times[-1] - times[0] > (TOKENS - 2) * SECONDS_BETWEEN_TOKENS
