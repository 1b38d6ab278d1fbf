"""What is frozen and sealed, and the buttons for a bad moment, which ask twice."""

from typing import Any, Final

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from strongroom.admin.api.access import FREEZE, READ, SEAL, UNFREEZE
from strongroom.admin.api.freezes import EverythingController, FreezesController, NewFreeze, Reason
from strongroom.admin.api.keys import EveryKeyController, KeysController
from strongroom.console.access import form_of
from strongroom.console.pages.confirming import is_sure, question
from strongroom.console.viewer import Section, Viewer
from strongroom.core.errors import InvalidInput
from strongroom.core.guard.state import FreezeScope
from strongroom.core.http.route_access import needs

SECTION: Final = Section(title="Freeze", path="/freezes", scope=READ)
EVERYTHING: Final = "everything"
AnyRequest = Request[Any, Any, Any]


class FreezesPages(Controller):
    """Each form that stops something is shown once more with what it does, before it does it."""

    path = "/freezes"

    @get(opt=needs(READ))
    async def show(self, viewer: NamedDependency[Viewer]) -> Template:
        found = await viewer.each(FreezesController.list_freezes)
        return viewer.page(
            "freezes.html",
            frozen=[(name, one) for name, freezes in found.of.items() for one in freezes],
            sealed=[name for name in viewer.estate.names if _is_sealed(viewer, name)],
            away_now=sorted(found.away),
            everything=EVERYTHING,
            scopes=[one.value for one in FreezeScope],
            freezable=_with_scope(viewer, FREEZE),
            sealable=[name for name in _with_scope(viewer, SEAL) if viewer.estate.holds_keys(name)],
            may_unfreeze=_with_scope(viewer, UNFREEZE),
        )

    @post("/freeze", opt=needs(FREEZE))
    async def freeze(self, request: AnyRequest, viewer: NamedDependency[Viewer]) -> Response[Any] | Template:
        form = await form_of(request)
        on, scope = form.get("on", ""), form.get("scope", FreezeScope.LEDGER.value)
        subject, reason = form.get("subject", "").strip(), form.get("reason", "").strip()
        if scope not in {one.value for one in FreezeScope}:
            raise InvalidInput("There is no such kind of freeze", code="freeze_invalid")
        what = _named(viewer, on) if on == EVERYTHING or scope == "ledger" else f"the {scope} {subject}"
        if not is_sure(form):
            told = f"From then on nothing is signed for {what}, in every process. Reading goes on, and so does what was signed before."
            kept = {"on": on, "scope": scope, "subject": subject, "reason": reason}
            return question(
                viewer, f"Freeze {what}?", told, "/freezes/freeze", kept, f"Freeze {what}", back=SECTION.path
            )
        if on == EVERYTHING:
            await viewer.call(EverythingController.freeze, data=Reason(reason=reason))
        else:
            wanted = NewFreeze(scope=FreezeScope(scope), subject=subject, reason=reason)
            await viewer.call(FreezesController.freeze, on, data=wanted)
        return viewer.done("/freezes", f"Frozen: {what}.")

    @post("/{on:str}/{freeze:str}/unfreeze", opt=needs(UNFREEZE))
    async def unfreeze(
        self, request: AnyRequest, on: FromPath[str], freeze: FromPath[str], viewer: NamedDependency[Viewer]
    ) -> Response[Any] | Template:
        form = await form_of(request)
        if not is_sure(form):
            told = "From then on it is signed for again, as rules and tokens allow."
            action = f"/freezes/{on}/{freeze}/unfreeze"
            return question(viewer, "Unfreeze this?", told, action, {}, "Unfreeze", back=SECTION.path)
        await viewer.call(FreezesController.unfreeze, on, freeze=freeze)
        return viewer.done("/freezes", "Unfrozen.")

    @post("/seal", opt=needs(SEAL))
    async def seal(self, request: AnyRequest, viewer: NamedDependency[Viewer]) -> Response[Any] | Template:
        form = await form_of(request)
        on = form.get("on", "")
        what = _named(viewer, on)
        if not is_sure(form):
            told = (
                "The keys leave the memory of every process within a second, also after restarts. Nothing is signed until"
                " somebody unseals it with the key-encryption key: strongroom unseal."
            )
            return question(
                viewer, f"Seal {what}?", told, "/freezes/seal", {"on": on}, f"Seal {what}", back=SECTION.path
            )
        if on == EVERYTHING:
            await viewer.call(EveryKeyController.seal)
        else:
            await viewer.call(KeysController.seal, on)
        return viewer.done("/freezes", f"Sealed: {what}.")


def _named(viewer: Viewer, on: str) -> str:
    return EVERYTHING if on == EVERYTHING else viewer.estate.title_of(viewer.estate.find(on).definition.name)


def _with_scope(viewer: Viewer, scope: str) -> list[str]:
    return [name for name in viewer.estate.names if viewer.may(scope, name)]


def _is_sealed(viewer: Viewer, name: str) -> bool:
    return viewer.may(READ, name) and viewer.estate.is_sealed(name)


CONTROLLERS: Final = (FreezesPages,)
