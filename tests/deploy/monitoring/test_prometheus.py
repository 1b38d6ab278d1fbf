"""A real Prometheus reads running services: the pages, dashboards and alerts speak of what they show."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from deploy.monitoring.rules import DASHBOARDS, MONITORING, NAME, ROOT, queries, rules
from strongroom_sandbox.ports import default_variables
from support.ports import own_ports
from support.processes import Process, strongroom
from support.prometheus import Prometheus, running_prometheus

PAGE = ROOT / "docs" / "metrics.md"
ROW = re.compile(r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \| ([^|]*) \| ([^|]+) \|$", re.MULTILINE)
WINDOW = "15s"
SERIES_OF = re.compile(r"_(?:bucket|count|sum)$")
# What a service has nothing to show of as long as nothing happens.
QUIET = {
    "strongroom_audit_checkpoint_timestamp_seconds": "the first look comes before the first checkpoint",
    "strongroom_authentication_failures_total": "nobody presents what does not count",
    "strongroom_atto_callback_last_success_timestamp_seconds": "CALLBACK_URL is not set",
    "strongroom_atto_callbacks_total": "the same",
    "strongroom_atto_received_total": "nobody pays",
    "strongroom_bittensor_commit_blocks_left": "nothing is committed",
    "strongroom_connections_refused_total": "nobody is refused",
    "strongroom_hathor_proposals_settled_total": "nobody pays",
    "strongroom_hathor_push_total": "no device is registered",
    "strongroom_hathor_sync_unknown_events_total": "the node knows the same events",
    "strongroom_payment_seconds_bucket": "nobody pays",
    "strongroom_refusals_total": "nothing is refused",
    "strongroom_rule_refusals_total": "there is no rule",
    "strongroom_signatures_total": "nobody pays",
    "strongroom_token_next_expiry_timestamp_seconds": "no token expires",
    "strongroom_tls_certificate_expiry_timestamp_seconds": "there is no TLS",
    "strongroom_webhook_failing_seconds": "there is no endpoint",
    "strongroom_webhook_oldest_age_seconds": "there is no endpoint",
    "strongroom_webhook_waiting": "there is no endpoint",
    "strongroom_component_degraded": "asked for what is not well",
    "strongroom_work_failures_total": "nothing fails",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitored:
    """A service with three ledgers and their sandboxes, another one with Atto, and its node apart."""

    prometheus: Prometheus
    whole: str
    """`host:port` of the management port of the first."""
    lonely: str
    node: Process


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    folder = tmp_path_factory.mktemp("monitored")
    whole, lonely = own_ports(), own_ports()
    targets = [f"127.0.0.1:{ports['MANAGEMENT_PORT']}" for ports in (whole, lonely)]
    with (
        strongroom("serve", "--sandbox", environment=_variables(folder / "whole", whole)) as first,
        strongroom("sandbox", "atto", environment=_variables(folder / "node", lonely)) as node,
        running_prometheus(folder, MONITORING / "prometheus.yml", targets) as prometheus,
    ):
        node.wait_ready()
        variables = _variables(folder / "lonely", lonely) | default_variables(lonely)
        with strongroom("serve", "atto", environment=variables) as second:
            first.wait_ready()
            second.wait_ready()
            _ask_each(whole)
            yield Monitored(prometheus=prometheus, whole=targets[0], lonely=targets[1], node=node)


def _ask_each(ports: Mapping[str, str]) -> None:
    """One request to each ledger, whatever the answer, so that requests have been measured."""
    with httpx2.Client(trust_env=False, verify=False) as client:
        for name in ("ATTO_PORT", "HATHOR_PORT", "BITTENSOR_PORT"):
            client.get(f"http://127.0.0.1:{ports[name]}/wallets")


def _variables(data: Path, ports: Mapping[str, str]) -> dict[str, str]:
    return {"STRONGROOM_DATA": str(data), "PUSH_NOTIFICATION_ENABLED": "true", **ports}


@pytest.fixture(scope="module")
def exposed(monitored: Monitored) -> dict[str, Metric]:
    """What the service with three ledgers shows, by the names on the page."""
    with httpx2.Client(trust_env=False, verify=False) as client:
        text = client.get(f"http://{monitored.whole}/prometheus").text
    families = text_string_to_metric_families(text)
    return {f"{one.name}_total" if one.type == "counter" else one.name: one for one in families}


def test_the_page_names_every_metric_as_it_is(exposed: Mapping[str, Metric]) -> None:
    page = {name: (kind, labels, text) for name, kind, labels, text in ROW.findall(PAGE.read_text())}
    assert page.keys() == exposed.keys()
    for name, metric in exposed.items():
        kind, labels, text = page[name]
        assert (kind, text) == (metric.type, metric.documentation), name
        named = set(re.findall(r"`(\w+)`", labels))
        for sample in metric.samples:
            assert sample.labels.keys() - {"le"} == named, name


def test_rules_and_dashboards_ask_for_metrics_that_there_are(exposed: Mapping[str, Metric]) -> None:
    asked = {name for rule in rules().values() for name in NAME.findall(rule["expr"])}
    for dashboard in DASHBOARDS:
        asked |= {name for _, query in queries(dashboard) for name in NAME.findall(query)}
    assert {SERIES_OF.sub("", name) for name in asked if name not in exposed} <= exposed.keys()
    assert {SERIES_OF.sub("", name) for name in QUIET} <= exposed.keys()


def test_every_panel_has_an_answer(monitored: Monitored) -> None:
    asked = {
        f"{dashboard.stem}, {title}, {number}": _filled(query)
        for dashboard in DASHBOARDS
        for number, (title, query) in enumerate(queries(dashboard))
    }
    empty = dict(asked)

    def are_answered(prometheus: Prometheus) -> bool:
        for panel, query in list(empty.items()):
            if prometheus.query(query) or QUIET.keys() & set(NAME.findall(query)):
                del empty[panel]
        return not empty

    with suppress(TimeoutError):
        monitored.prometheus.eventually(are_answered)
    assert empty == {}


def test_a_killed_node_is_an_alert_and_what_is_well_is_none(monitored: Monitored) -> None:
    prometheus = monitored.prometheus
    assert {rule["health"] for rule in prometheus.rules()} == {"ok"}
    monitored.node.kill()
    prometheus.eventually(lambda one: ("StrongroomNodeAway", monitored.lonely) in _alerts(one))
    assert ("StrongroomNodeAway", monitored.whole) not in _alerts(prometheus)
    assert prometheus.query(f'strongroom_node_up{{instance="{monitored.whole}"}} == 0') == []


def _filled(query: str) -> str:
    return query.replace("$__rate_interval", WINDOW).replace("$instance", ".*").replace("$ledger", ".*")


def _alerts(prometheus: Prometheus) -> set[tuple[str, str | None]]:
    return {(one["labels"]["alertname"], one["labels"].get("instance")) for one in prometheus.alerts()}
