"""Endpoints of webhooks: list, add, change, rotate, try, replay, remove. No answer but that to a creation or rotation has a secret."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath, QueryParameter

from strongroom.admin.api import access
from strongroom.admin.api.wire import Answer
from strongroom.admin.estate import Estate
from strongroom.core.clock import parse_instant
from strongroom.core.errors import InvalidInput
from strongroom.core.http.route_access import needs
from strongroom.core.ledger.contract import Ledger
from strongroom.core.security.access import Principal
from strongroom.core.webhooks.administration import (
    ALL_STATES,
    DAY_S,
    MAX_OVERLAP_S,
    MAX_PAGE,
    Created,
    EndpointChange,
)
from strongroom.core.webhooks.document import as_document, event_as_document
from strongroom.core.webhooks.queue import EventState

QUERY = ("state", "before", "limit")


class NewEndpoint(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: str
    url: str
    """No answer shows it whole again."""
    events: list[str] = []
    """Kinds of events, or payment.* and the like; empty: all."""
    wallets: list[str] = []
    """Empty: all."""


class EndpointUpdate(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays."""

    url: str | None = None
    events: list[str] | None = None
    wallets: list[str] | None = None
    enabled: bool | None = None


class SecretRotation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    overlap_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_OVERLAP_S)] = DAY_S
    """How long the old secret signs besides."""


class Replay(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    event: str | None = None
    """The event of this id alone, delivered or dead."""
    since: str | None = None
    delivered: bool = False
    """Delivered ones too."""


class EndpointView(Answer):
    id: str
    name: str
    url: str
    """Without its path."""
    events: list[str]
    wallets: list[str]
    state: str
    reason: str | None
    created_at: str
    created_by: str
    waiting: int
    oldest_at: str | None
    failing_since: str | None
    trouble: str | None
    dead: int


class NewEndpointView(Answer):
    endpoint: EndpointView
    secret: str
    """With which the receiver verifies; nothing shows it again."""


class EventView(Answer):
    id: str
    type: str
    stream: str
    state: EventState
    created_at: str
    attempts: int
    next_at: str | None
    status: int | None
    trouble: str | None
    ended_at: str | None


class EventPage(Answer):
    events: list[EventView]
    before: int | None
    """For the next page; null: this is the last one."""


class TestView(Answer):
    taken: bool
    status: int | None
    trouble: str | None
    body: str
    """The beginning of what the receiver wrote."""


class ReplayView(Answer):
    events: int


State = Annotated[
    EventState | None, QueryParameter(name="state", required=False, description="Those in this state")
]
Before = Annotated[int | None, QueryParameter(required=False, description="`before` of the page before")]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="The most events on a page")]


class WebhooksController(Controller):
    path = "/admin/v1/ledgers/{ledger:str}/webhooks"
    tags = ("Webhooks",)

    @get(summary="List endpoints", opt=needs(access.WEBHOOKS))
    async def list_endpoints(
        self, ledger: FromPath[str], estate: NamedDependency[Estate]
    ) -> list[EndpointView]:
        """The oldest first, with what waits for each."""
        return [_view(as_document(one)) for one in await estate.find(ledger).webhooks.list()]

    @post(status_code=201, summary="Add an endpoint", opt=needs(access.WEBHOOKS))
    async def add(
        self,
        ledger: FromPath[str],
        data: Annotated[NewEndpoint, Body()],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> NewEndpointView:
        """The answer has the secret. A name is used once, so a repetition gets 409."""
        running = estate.find(ledger)
        await running.rules.require_unfrozen(caller)
        webhooks = running.webhooks
        created = await webhooks.add(caller, data.name, data.url, kinds=data.events, wallets=data.wallets)
        return await _created(running, created)

    @get("/{endpoint:str}", summary="Show an endpoint", opt=needs(access.WEBHOOKS))
    async def show(
        self, ledger: FromPath[str], endpoint: FromPath[str], estate: NamedDependency[Estate]
    ) -> EndpointView:
        """By its id or name."""
        return _view(as_document(await estate.find(ledger).webhooks.show(endpoint)))

    @patch("/{endpoint:str}", summary="Change an endpoint", opt=needs(access.WEBHOOKS))
    async def change(
        self,
        ledger: FromPath[str],
        endpoint: FromPath[str],
        data: Annotated[EndpointUpdate, Body()],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> EndpointView:
        """What waits for it is tried at once."""
        running = estate.find(ledger)
        await running.rules.require_unfrozen(caller)
        wanted = EndpointChange(url=data.url, kinds=data.events, wallets=data.wallets, is_active=data.enabled)
        changed = await running.webhooks.change(caller, endpoint, wanted)
        return _view(as_document(await running.webhooks.show(changed.id)))

    @delete("/{endpoint:str}", status_code=204, summary="Remove an endpoint", opt=needs(access.WEBHOOKS))
    async def remove(
        self,
        ledger: FromPath[str],
        endpoint: FromPath[str],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> None:
        """With what waits for it and what is dead."""
        await estate.find(ledger).webhooks.remove(caller, endpoint)

    @post("/{endpoint:str}/rotate", status_code=200, summary="Rotate a secret", opt=needs(access.WEBHOOKS))
    async def rotate(
        self,
        ledger: FromPath[str],
        endpoint: FromPath[str],
        data: Annotated[SecretRotation, Body()],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> NewEndpointView:
        """The answer has the new secret. Both sign until the overlap is over."""
        running = estate.find(ledger)
        await running.rules.require_unfrozen(caller)
        overlap_s = data.overlap_seconds
        return await _created(running, await running.webhooks.rotate(caller, endpoint, overlap_s=overlap_s))

    @post("/{endpoint:str}/test", status_code=200, summary="Try an endpoint", opt=needs(access.WEBHOOKS))
    async def test(
        self,
        ledger: FromPath[str],
        endpoint: FromPath[str],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> TestView:
        """Sends a signed event of the kind webhook.test now, and tells what the receiver answered."""
        answer = await estate.find(ledger).webhooks.test(caller, endpoint)
        return TestView(taken=answer.is_taken, status=answer.status, trouble=answer.trouble, body=answer.body)

    @get(
        "/{endpoint:str}/deliveries",
        summary="Page through events",
        opt=needs(access.WEBHOOKS) | {"query": QUERY},
    )
    async def deliveries(
        self,
        ledger: FromPath[str],
        endpoint: FromPath[str],
        estate: NamedDependency[Estate],
        wanted_state: State = None,
        before: Before = None,
        limit: Limit = 100,
    ) -> EventPage:
        """The newest first: what waits, what was delivered lately, and what is dead."""
        states = ALL_STATES if wanted_state is None else (wanted_state,)
        found = await estate.find(ledger).webhooks.events(
            endpoint, states=states, before=before, limit=limit + 1
        )
        shown = found[:limit]
        return EventPage(
            events=[msgspec.convert(event_as_document(one), EventView) for one in shown],
            before=shown[-1].row if len(found) > limit else None,
        )

    @post("/{endpoint:str}/replay", status_code=200, summary="Replay events", opt=needs(access.WEBHOOKS))
    async def replay(
        self,
        ledger: FromPath[str],
        endpoint: FromPath[str],
        data: Annotated[Replay, Body()],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> ReplayView:
        """Sends dead events again, each with the id that it had."""
        try:
            since_ms = 0 if data.since is None else parse_instant(data.since)
        except ValueError as error:
            raise InvalidInput(f"since {error}", code="invalid_moment") from None
        count = await estate.find(ledger).webhooks.replay(
            caller, endpoint, event=data.event, since_ms=since_ms, delivered=data.delivered
        )
        return ReplayView(events=count)


async def _created(running: Ledger, created: Created) -> NewEndpointView:
    status = await running.webhooks.show(created.endpoint.id)
    return NewEndpointView(endpoint=_view(as_document(status)), secret=created.secret)


def _view(document: dict[str, Any]) -> EndpointView:
    return msgspec.convert(document, EndpointView)
