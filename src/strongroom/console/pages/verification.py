"""Whether the audit trails are whole: begun here, with how far it is and what it found as a sentence."""

from dataclasses import dataclass
from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from strongroom.admin.api.access import AUDIT
from strongroom.admin.api.audit.verification import Kept, VerificationController, VerificationView
from strongroom.console.viewer import Section, Viewer
from strongroom.console.words import count
from strongroom.core.errors import NotFound, StrongroomError, Unavailable
from strongroom.core.http.route_access import needs

SECTION: Final[Section | None] = None
PATH: Final = "/audit/verification"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What this process knows of the trail of one ledger."""

    ledger: str
    sentence: str
    last: VerificationView | None = None
    """None: this process has verified nothing of it."""


class VerificationPages(Controller):
    @get(PATH, opt=needs(AUDIT))
    async def show(self, viewer: NamedDependency[Viewer]) -> Template:
        names = [name for name in viewer.estate.names if viewer.may(AUDIT, name)]
        trails = [await _standing(viewer, name) for name in names]
        return viewer.page(
            "audit/verification.html",
            trails=trails,
            running=any(one.last is not None and one.last.state == "running" for one in trails),
            away_now=sorted(viewer.authority.away),
        )

    @post("/audit/{on:str}/verify", opt=needs(AUDIT))
    async def start(self, on: FromPath[str], viewer: NamedDependency[Viewer]) -> Response[Any]:
        """What it says is told on the next page too, whichever process shows that."""
        answer = await viewer.call(VerificationController.start, on, data=Kept())
        return viewer.done(PATH, sentence_of(viewer.estate.title_of(on), answer.content))


async def _standing(viewer: Viewer, name: str) -> Standing:
    title = viewer.estate.title_of(name)
    try:
        last: VerificationView = await viewer.call(VerificationController.show, name)
    except NotFound:
        return Standing(ledger=name, sentence=f"This process has not verified the trail of {title} yet.")
    except Unavailable as error:
        return Standing(ledger=name, sentence=_closed(title, error))
    return Standing(ledger=name, sentence=sentence_of(title, last), last=last)


def sentence_of(title: str, one: VerificationView) -> str:
    """What a verification says, in one sentence."""
    match one.state:
        case "running":
            return f"The trail of {title} is being verified."
        case "whole":
            return f"The trail of {title} is whole: {one.summary}."
        case "wrong":
            found = count(len(one.findings), "thing is", "things are")
            return f"The trail of {title} is not whole: {found} wrong, first {one.findings[0].detail}."
        case _:
            return f"The trail of {title} could not be verified: {one.findings[0].detail}."


def _closed(title: str, error: StrongroomError) -> str:
    return f"The trail of {title} cannot be verified now: {error.message}."


CONTROLLERS: Final = (VerificationPages,)
