"""What has become of messages is read from the log of either version of Alertmanager."""

from __future__ import annotations

import pytest
from ansible_collections.farrier.kit.plugins.module_utils.alertmanager_log import outcomes

OLD = r"""
ts=2026-11-28T02:15:47.463Z caller=notify.go:732 level=warn component=dispatcher receiver=bad integration=webhook[0] msg="Notify attempt failed, will retry later" attempts=1 err="Post \"http://127.0.0.1:9/hook/SECRET\": dial tcp 127.0.0.1:9: connect: connection refused"
ts=2026-11-28T02:15:47.499Z caller=notify.go:743 level=debug component=dispatcher receiver=ok integration=webhook[0] msg="Notify success" attempts=1
ts=2026-11-28T02:15:47.499Z caller=dispatch.go:352 level=error component=dispatcher msg="Notify for alerts failed" num_alerts=1 err="chat/slack[0]: notify retry canceled due to unrecoverable error after 1 attempts: channel \"\": unexpected status code 404: gone"
"""  # noqa: E501 - lines of a log
NEW = r"""
time=2026-11-28T02:15:54.705Z level=WARN source=notify.go:865 msg="Notify attempt failed, will retry later" component=dispatcher receiver=bad integration=webhook[0] aggrGroup="{}/{receiver=\"bad\"}:{alertname=\"ReceiverTest\", receiver=\"bad\"}" attempts=1 err="Post \"<redacted>\": dial tcp 127.0.0.1:9: connect: connection refused"
time=2026-11-28T02:15:54.745Z level=DEBUG source=notify.go:875 msg="Notify success" component=dispatcher receiver=ok integration=webhook[0] aggrGroup="{}/{receiver=\"ok\"}:{alertname=\"ReceiverTest\", receiver=\"ok\"}" attempts=1 duration=26.122622ms alerts=[ReceiverTest[00e7e52][active]]
time=2026-11-28T02:15:54.745Z level=ERROR source=dispatch.go:360 msg="Notify for alerts failed" component=dispatcher num_alerts=1 err="chat/slack[0]: notify retry canceled due to unrecoverable error after 1 attempts: channel \"\": unexpected status code 404: gone"
"""  # noqa: E501 - lines of a log


@pytest.mark.parametrize("log", [OLD, NEW])
def test_what_has_become_of_each_message(log: str) -> None:
    """Taken, refused for good, or tried again, with the reason and without the address."""
    found = outcomes(log)
    assert found.taken == {"ok"}
    assert [found.is_final(name) for name in ("ok", "chat", "bad", "silent")] == [True, True, False, False]
    assert found.failure("bad").endswith(": dial tcp 127.0.0.1:9: connect: connection refused")
    assert "SECRET" not in found.failure("bad")
    assert found.failure("chat").endswith("unexpected status code 404: gone")
    assert found.failure("silent") == "no answer in time"
