"""Logs, metrics, health."""

import json

import pytest
from prometheus_client import generate_latest

from strongroom.core.runtime.telemetry import ComponentHealth, Health, Metrics, Status
from support.processes import python

LOG = """
import logging, sys
import structlog
from strongroom.core.runtime.telemetry import configure_logging

early = structlog.get_logger("early")
configure_logging(as_json=sys.argv[1] == "json", level="INFO")
early.info("hello", account="a", amount_raw=2**64)
early.debug("too quiet")
early.info("careless", mnemonic="abandon", wallet_password="hunter2", Authorization="Bearer sr_1",
           private_key="beef", encryptionKey="cafe", seed="feed", passphrase="trezor", hash="AB")
structlog.contextvars.bind_contextvars(request="r1", secret="s3cret")
def fail(words):
    raise ValueError("no")
try:
    fail("of-a" + "-phrase")
except ValueError:
    early.exception("failed")
logging.getLogger("library").warning("of a library: %s", "text")
early.warning("a node said\\x1b[2J", reason="wiped\\x1b]0;\\x07\\x9b")
logging.getLogger("uvicorn.access").info("too noisy")
"""


def test_logs_are_json_lines_without_secrets() -> None:
    with python(LOG, "json") as process:
        assert process.wait_end() == 0
        lines = [json.loads(line) for line in process.stderr]
        assert process.stdout == []
    assert all(line.pop("timestamp").endswith("Z") for line in lines)
    exception = lines[2].pop("exception")
    assert "ValueError: no" in exception
    assert "of-a-phrase" not in exception
    hidden = "[redacted]"
    context = {"request": "r1", "secret": hidden}
    assert lines == [
        {"event": "hello", "level": "info", "logger": "early", "account": "a", "amount_raw": 2**64},
        {
            "event": "careless",
            "level": "info",
            "logger": "early",
            "mnemonic": hidden,
            "wallet_password": hidden,
            "Authorization": hidden,
            "private_key": hidden,
            "encryptionKey": hidden,
            "seed": hidden,
            "passphrase": hidden,
            "hash": "AB",
        },
        {"event": "failed", "level": "error", "logger": "early", **context},
        {"event": "of a library: text", "level": "warning", "logger": "library", **context},
        {
            "event": "a node said\x1b[2J",
            "level": "warning",
            "logger": "early",
            "reason": "wiped\x1b]0;\x07\x9b",
            **context,
        },
    ]


def test_logs_for_people_hold_the_same() -> None:
    with python(LOG, "text") as process:
        assert process.wait_end() == 0
        text = process.logs()
    for shown in (
        "hello",
        "account=a",
        "ValueError: no",
        "of a library: text",
        "a node said",
        "reason=wiped",
    ):
        assert shown in text
    assert not {"\x1b", "\x07", "\x9b"} & set(text), "what others wrote commands no terminal"
    for hidden in (
        "abandon",
        "hunter2",
        "Bearer",
        "beef",
        "cafe",
        "feed",
        "trezor",
        "s3cret",
        "too",
        "of-a-phrase",
    ):
        assert hidden not in text


def test_metrics_are_exposed_with_their_labels() -> None:
    metrics = Metrics("strongroom")
    metrics.signatures.labels("atto", "SEND").inc()
    metrics.refusals.labels("atto", "forbidden").inc(2)
    metrics.http_requests.labels("atto", "GET", "/wallets", "200", "SUCCESS").observe(0.003)
    metrics.gauge("strongroom_backlog", "Events.", ("ledger",)).labels("atto").set(7)
    text = generate_latest(metrics.registry).decode()
    labels = 'ledger="atto",method="GET",outcome="SUCCESS",status="200",uri="/wallets"'
    for line in (
        'strongroom_signatures_total{kind="SEND",ledger="atto"} 1.0',
        'strongroom_refusals_total{code="forbidden",ledger="atto"} 2.0',
        f'http_server_requests_seconds_bucket{{le="0.0025",{labels}}} 0.0',
        f'http_server_requests_seconds_bucket{{le="0.005",{labels}}} 1.0',
        'strongroom_backlog{ledger="atto"} 7.0',
    ):
        assert line in text
    assert "process_cpu_seconds_total" in text


def test_two_registries_share_nothing() -> None:
    first, second = Metrics("one"), Metrics("two")
    first.signatures.labels("atto", "SEND").inc()
    assert "strongroom_signatures_total{" not in generate_latest(second.registry).decode()
    with pytest.raises(ValueError, match="Duplicated"):
        first.counter("strongroom_signatures", "Again.")


UP, DEGRADED, DOWN = Status.UP, Status.DEGRADED, Status.DOWN


@pytest.mark.parametrize(
    ("database", "node", "overall"),
    [
        (UP, UP, UP),
        (UP, DEGRADED, DEGRADED),
        (UP, DOWN, DEGRADED),
        (DEGRADED, UP, DEGRADED),
        (DOWN, UP, DOWN),
        (DOWN, DOWN, DOWN),
    ],
)
def test_only_a_vital_part_takes_the_whole_down(database: Status, node: Status, overall: Status) -> None:
    health = Health()
    health.report("database", database, vital=True)
    health.report("node", node, "as it is")
    assert health.overall() is overall
    assert health.components() == {
        "database": ComponentHealth(status=database),
        "node": ComponentHealth(status=node, detail="as it is"),
    }


def test_without_parts_all_is_well() -> None:
    assert Health().overall() is UP


def test_the_latest_word_counts() -> None:
    health = Health()
    health.report("database", DOWN, "gone", vital=True)
    health.report("database", UP, vital=True)
    assert health.overall() is UP
    assert health.components() == {"database": ComponentHealth(status=UP)}


def test_a_watched_part_is_asked_at_each_reading() -> None:
    health = Health()
    backlog = 0

    def check() -> ComponentHealth:
        return ComponentHealth(status=UP if backlog < 10 else DEGRADED, detail=str(backlog))

    health.watch("callbacks", check)
    assert health.overall() is UP
    backlog = 10
    assert health.overall() is DEGRADED
    assert health.components() == {"callbacks": ComponentHealth(status=DEGRADED, detail="10")}


def test_a_component_is_as_well_as_its_worst_part() -> None:
    health = Health()
    health.report("callbacks", UP, "3 waiting", part="backlog")
    health.watch("callbacks", lambda: ComponentHealth(status=DEGRADED, detail="no answer", last_failure_ms=7))
    assert health.components() == {
        "callbacks": ComponentHealth(status=DEGRADED, detail="no answer", last_failure_ms=7)
    }
    health.report("callbacks", DOWN, "too many", part="backlog")
    assert health.components()["callbacks"].status is DOWN
    assert health.components()["callbacks"].detail == "too many; no answer"


def test_a_process_is_ready_while_its_vital_parts_work_and_it_is_not_told_to_end() -> None:
    health = Health()
    health.report("node", DOWN)
    health.report("database", DEGRADED, vital=True)
    assert health.is_ready()
    health.report("database", DOWN, vital=True)
    assert not health.is_ready()
    health.report("database", UP, vital=True)
    health.drain()
    assert not health.is_ready()
