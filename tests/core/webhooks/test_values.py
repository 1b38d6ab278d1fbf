"""What endpoints want, which secrets sign, and what people read of endpoints and events."""

import pytest

from strongroom.core.environment import Environment
from strongroom.core.errors import InvalidInput
from strongroom.core.webhooks.administration import EndpointStatus
from strongroom.core.webhooks.document import as_document, event_as_document
from strongroom.core.webhooks.endpoint import Endpoint, EndpointSecret, EndpointState, Private, Wanted
from strongroom.core.webhooks.kinds import EVERY_LEDGER, check_patterns, left_out, matches
from strongroom.core.webhooks.queue import EventState, QueuedEvent, QueueState
from strongroom.core.webhooks.settings import WebhookSettings, read_webhook_settings

NOW = 1_800_000_000_000


def test_patterns_are_sorted_and_each_is_there_once() -> None:
    asked = [" token.created ", "payment.*", "payment.*", "freeze.began"]
    assert check_patterns(asked, EVERY_LEDGER) == ("freeze.began", "payment.*", "token.created")
    assert check_patterns([], EVERY_LEDGER) == ()
    assert check_patterns(["*"], EVERY_LEDGER) == check_patterns(["payment.*", "*"], EVERY_LEDGER) == ()


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "payment",
        "payment.",
        "payment*",
        "payment.**",
        "*.signed",
        "Payment.*",
        "payment.nothing",
        "pay.*",
        "payment.signed.*",
    ],
)
def test_a_pattern_that_means_nothing_is_refused_with_what_there_is(pattern: str) -> None:
    with pytest.raises(
        InvalidInput, match=r"is no kind of event; there is approval\.approved, approval"
    ) as no:
        check_patterns(["token.*", pattern], EVERY_LEDGER)
    assert no.value.instance_code == "webhook_invalid"
    assert repr(pattern) in no.value.message


def test_a_long_pattern_is_shown_in_part() -> None:
    with pytest.raises(InvalidInput, match=f"^'{'x' * 40}' is no kind"):
        check_patterns(["x" * 41], EVERY_LEDGER)


def test_a_beginning_matches_what_begins_so() -> None:
    assert matches("payment.*", "payment.signed")
    assert not matches("payment.*", "payments.signed")
    assert matches("payment.signed", "payment.signed")
    assert not matches("payment.signed", "payment.signed.again")
    assert matches("*", "anything.at.all")


def test_an_endpoint_wants_by_kind_and_by_wallet() -> None:
    assert Wanted().has("payment.signed", "")
    assert Wanted(kinds=("token.*", "payment.*")).has("payment.signed", "hot")
    assert not Wanted(kinds=("token.*",)).has("payment.signed", "hot")
    hot = Wanted(kinds=("payment.*",), wallets=("hot", "warm"))
    assert hot.has("payment.signed", "warm")
    assert not hot.has("payment.signed", "cold")
    assert not hot.has("payment.signed", ""), "what concerns no wallet"
    assert not hot.has("token.created", "hot")
    assert hot.has_kind("payment.signed")
    assert not hot.has_kind("token.created")


def test_a_secret_signs_until_it_ends() -> None:
    new, old = EndpointSecret(secret="new"), EndpointSecret(secret="old", ends_at_ms=NOW)
    private = Private(url="https://canary.example/", secrets=(new, old))
    assert private.signing(NOW - 1) == ["new", "old"]
    assert private.signing(NOW) == ["new"]
    assert "canary" not in repr(private)
    assert "new" not in repr(private)


def test_the_document_of_an_endpoint() -> None:
    endpoint = Endpoint(
        id="0a",
        name="shop",
        shown_url="https://shop.example/…",
        wanted=Wanted(kinds=("payment.*",), wallets=("hot",)),
        sealed=b"canary",
        state=EndpointState.DISABLED,
        reason="gone",
        created_at_ms=NOW,
        created_by="boss",
        version=7,
    )
    found = QueueState(waiting=3, oldest_ms=NOW + 1, failing_since_ms=NOW + 2, trouble="no", dead=4)
    document = {
        "id": "0a",
        "name": "shop",
        "url": "https://shop.example/…",
        "events": ["payment.*"],
        "wallets": ["hot"],
        "state": "disabled",
        "reason": "gone",
        "createdAt": "2027-01-15T08:00:00.000Z",
        "createdBy": "boss",
        "waiting": 3,
        "oldestAt": "2027-01-15T08:00:00.001Z",
        "failingSince": "2027-01-15T08:00:00.002Z",
        "trouble": "no",
        "dead": 4,
    }
    assert as_document(EndpointStatus(endpoint=endpoint, queue=found)) == document
    nothing = {"waiting": 0, "oldestAt": None, "failingSince": None, "trouble": None, "dead": 0}
    assert as_document(EndpointStatus(endpoint=endpoint, queue=QueueState())) == document | nothing
    assert "canary" not in repr(endpoint)


@pytest.mark.parametrize("state", EventState)
def test_the_document_of_an_event(state: EventState) -> None:
    ended_at_ms = None if state is EventState.WAITING else NOW + 2
    event = QueuedEvent(
        row=1,
        endpoint="0a",
        id="evt_1",
        kind="payment.signed",
        stream="a",
        payload="{}",
        created_at_ms=NOW,
        state=state,
        attempts=2,
        due_at_ms=NOW + 1,
        since_ms=NOW,
        status=500,
        trouble="no",
        ended_at_ms=ended_at_ms,
    )
    assert event_as_document(event) == {
        "id": "evt_1",
        "type": "payment.signed",
        "stream": "a",
        "state": state.value,
        "createdAt": "2027-01-15T08:00:00.000Z",
        "attempts": 2,
        "nextAt": "2027-01-15T08:00:00.001Z" if state is EventState.WAITING else None,
        "status": 500,
        "trouble": "no",
        "endedAt": None if ended_at_ms is None else "2027-01-15T08:00:00.002Z",
    }


def test_without_variables_endpoints_are_public_and_deliveries_are_kept_for_three_days() -> None:
    found = read_webhook_settings(Environment({}))
    assert found == WebhookSettings()
    assert (found.reach.networks, found.reach.allows_http, found.keep_s) == ((), False, 3 * 86_400)


def test_variables_allow_networks_and_http() -> None:
    given = {
        "STRONGROOM_WEBHOOK_NETWORKS": "10.1.0.0/16, fd00::/64",
        "STRONGROOM_WEBHOOK_HTTP": "true",
        "STRONGROOM_WEBHOOK_KEEP_SECONDS": "3600",
    }
    found = read_webhook_settings(Environment(given))
    assert [str(one) for one in found.reach.networks] == ["10.1.0.0/16", "fd00::/64"]
    assert found.reach.allows_http
    assert found.keep_s == 3600


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRONGROOM_WEBHOOK_NETWORKS", "10.0.0.1/8"),
        ("STRONGROOM_WEBHOOK_NETWORKS", "everywhere"),
        ("STRONGROOM_WEBHOOK_HTTP", "maybe"),
        ("STRONGROOM_WEBHOOK_KEEP_SECONDS", "3599"),
        ("STRONGROOM_WEBHOOK_KEEP_SECONDS", "7776001"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(name: str, value: str) -> None:
    environment = Environment({name: value})
    read_webhook_settings(environment)
    assert [one for one in environment.mistakes if name in str(one)]


def test_deliveries_are_kept_for_ninety_days_at_most() -> None:
    environment = Environment({"STRONGROOM_WEBHOOK_KEEP_SECONDS": "7776000"})
    assert read_webhook_settings(environment).keep_s == 7_776_000
    assert not environment.mistakes


@pytest.mark.parametrize(
    ("wanted", "missing"),
    [
        (["payment.confirmed"], ("payment.failed", "payment.unverified")),
        (["payment.confirmed", "payment.failed"], ("payment.unverified",)),
        (["payment.*"], ()),
        (["payment.signed", "freeze.*"], ()),
        ([], ()),
    ],
)
def test_who_waits_for_confirmations_hears_which_ends_they_miss(
    wanted: list[str], missing: tuple[str, ...]
) -> None:
    assert left_out(wanted) == missing
