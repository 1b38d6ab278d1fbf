"""Endpoints of webhooks: what waits for each, what is dead, and how it is sent again."""

from dataclasses import dataclass
from typing import Any, Final

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from strongroom.admin.api.access import WEBHOOKS
from strongroom.admin.api.webhooks.endpoints import (
    Before,
    EndpointUpdate,
    EndpointView,
    NewEndpoint,
    NewEndpointView,
    Replay,
    State,
    WebhooksController,
)
from strongroom.console.access import form_of
from strongroom.console.pages.confirming import is_sure, question
from strongroom.console.viewer import Section, Viewer
from strongroom.core.errors import InvalidInput
from strongroom.core.http.route_access import needs
from strongroom.core.webhooks.kinds import left_out
from strongroom.core.webhooks.queue import EventState

SECTION: Final = Section(title="Webhooks", path="/webhooks", scope=WEBHOOKS)
LIMIT: Final = 50
MAX_URL: Final = 2_000
AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    ledger: str
    endpoint: EndpointView
    left_out: tuple[str, ...]
    """How payments end that it is not told of, though it is told of those that are confirmed."""


class WebhooksPages(Controller):
    """What changes an endpoint is shown once more with what it does, before it does it."""

    path = "/webhooks"

    @get(opt=needs(WEBHOOKS))
    async def show(self, viewer: NamedDependency[Viewer]) -> Template:
        found = await viewer.each(WebhooksController.list_endpoints)
        return viewer.page(
            "webhooks/endpoints.html",
            listed=[_listed(name, one) for name, each in found.of.items() for one in each],
            away_now=sorted(found.away),
            addable=[name for name in viewer.estate.names if viewer.may(WEBHOOKS, name)],
            max_url=MAX_URL,
        )

    @get("/{on:str}/{endpoint:str}", opt=needs(WEBHOOKS) | {"query": ("state", "before")})
    async def deliveries(
        self,
        on: FromPath[str],
        endpoint: FromPath[str],
        viewer: NamedDependency[Viewer],
        wanted_state: State = None,
        before: Before = None,
    ) -> Template:
        shown = await _endpoint(viewer, on, endpoint)
        page = await viewer.call(
            WebhooksController.deliveries,
            on,
            endpoint=endpoint,
            wanted_state=wanted_state,
            before=before,
            limit=LIMIT,
        )
        here = _path(on, shown)
        kept = "" if wanted_state is None else f"state={wanted_state.value}&"
        return viewer.page(
            "webhooks/deliveries.html",
            one=_listed(on, shown),
            here=here,
            events=page.events,
            wanted=wanted_state,
            states=list(EventState),
            next=None if page.before is None else f"{here}?{kept}before={page.before}",
        )

    @post("/add", opt=needs(WEBHOOKS))
    async def add(self, request: AnyRequest, viewer: NamedDependency[Viewer]) -> Response[Any] | Template:
        form = await form_of(request)
        fields = {name: form.get(name, "").strip() for name in ("on", "name", "url", "events", "wallets")}
        title = viewer.estate.title_of(viewer.estate.find(fields["on"]).definition.name)
        if not fields["name"] or not fields["url"]:
            raise InvalidInput("An endpoint has a name and a URL: fill in both", code="webhook_invalid")
        if not is_sure(form):
            told = (
                "What happens is sent there from then on, signed with a secret that the next page shows once."
                " Look at the URL again: whoever receives there learns of payments."
            )
            asked = f"Add an endpoint of {title}?"
            return question(viewer, asked, told, "/webhooks/add", fields, "Add", back=SECTION.path)
        wanted = NewEndpoint(
            name=fields["name"],
            url=fields["url"],
            events=_words(fields["events"]),
            wallets=_words(fields["wallets"]),
        )
        made: NewEndpointView = await viewer.call(WebhooksController.add, fields["on"], data=wanted)
        return viewer.page(
            "webhooks/secret.html",
            status=201,
            endpoint=made.endpoint,
            secret=made.secret,
            here=_path(fields["on"], made.endpoint),
        )

    @post("/{on:str}/{endpoint:str}/pause", opt=needs(WEBHOOKS))
    async def pause(
        self,
        request: AnyRequest,
        on: FromPath[str],
        endpoint: FromPath[str],
        viewer: NamedDependency[Viewer],
    ) -> Response[Any] | Template:
        shown = await _endpoint(viewer, on, endpoint)
        here = _path(on, shown)
        if not is_sure(await form_of(request)):
            told = (
                "Nothing is sent there until it goes on, and what happens meanwhile is not kept for it."
                " What waits now waits on."
            )
            return question(viewer, f"Pause {shown.name}?", told, f"{here}/pause", {}, "Pause", back=here)
        await viewer.call(
            WebhooksController.change, on, endpoint=endpoint, data=EndpointUpdate(enabled=False)
        )
        return viewer.done(here, f"{shown.name} is paused.")

    @post("/{on:str}/{endpoint:str}/resume", opt=needs(WEBHOOKS))
    async def resume(
        self, on: FromPath[str], endpoint: FromPath[str], viewer: NamedDependency[Viewer]
    ) -> Response[Any]:
        data = EndpointUpdate(enabled=True)
        shown = await viewer.call(WebhooksController.change, on, endpoint=endpoint, data=data)
        return viewer.done(_path(on, shown), f"{shown.name} goes on. What waits for it is tried at once.")

    @post("/{on:str}/{endpoint:str}/remove", opt=needs(WEBHOOKS))
    async def remove(
        self,
        request: AnyRequest,
        on: FromPath[str],
        endpoint: FromPath[str],
        viewer: NamedDependency[Viewer],
    ) -> Response[Any] | Template:
        shown = await _endpoint(viewer, on, endpoint)
        here = _path(on, shown)
        if not is_sure(await form_of(request)):
            told = (
                f"What waits for it ({shown.waiting}) and what is dead ({shown.dead}) is gone with it, and so is its secret."
                " Nothing brings them back."
            )
            return question(viewer, f"Remove {shown.name}?", told, f"{here}/remove", {}, "Remove", back=here)
        await viewer.call(WebhooksController.remove, on, endpoint=endpoint)
        return viewer.done(SECTION.path, f"{shown.name} is removed.")

    @post("/{on:str}/{endpoint:str}/replay", opt=needs(WEBHOOKS))
    async def replay(
        self,
        request: AnyRequest,
        on: FromPath[str],
        endpoint: FromPath[str],
        viewer: NamedDependency[Viewer],
    ) -> Response[Any] | Template:
        """The event that the form names, or every dead one, which asks first."""
        form = await form_of(request)
        event = form.get("event") or None
        shown = await _endpoint(viewer, on, endpoint)
        here = _path(on, shown)
        if event is None and not is_sure(form):
            told = (
                f"{shown.dead} dead events are sent again, each with the id that it had: a receiver that has seen one"
                " knows it by its id. If the receiver still fails, they are dead again after a day."
            )
            asked = f"Replay all that is dead of {shown.name}?"
            return question(viewer, asked, told, f"{here}/replay", {}, "Replay all", back=here)
        done = await viewer.call(
            WebhooksController.replay, on, endpoint=endpoint, data=Replay(event=event, delivered=bool(event))
        )
        what = "1 event is" if done.events == 1 else f"{done.events} events are"
        return viewer.done(here, f"{what} sent again.")


async def _endpoint(viewer: Viewer, on: str, endpoint: str) -> EndpointView:
    """By its id or name. Raises: NotFound."""
    found: EndpointView = await viewer.call(WebhooksController.show, on, endpoint=endpoint)
    return found


def _listed(ledger: str, one: EndpointView) -> Listed:
    return Listed(ledger=ledger, endpoint=one, left_out=left_out(one.events))


def _path(on: str, one: EndpointView) -> str:
    """By the id, which needs no quoting."""
    return f"{SECTION.path}/{on}/{one.id}"


def _words(text: str) -> list[str]:
    """What is separated by commas or spaces."""
    return text.replace(",", " ").split()


CONTROLLERS: Final = (WebhooksPages,)
