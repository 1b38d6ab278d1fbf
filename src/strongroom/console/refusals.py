"""Errors as pages: what happened, what was not lost, what to do, and the stable code."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect, Template

from strongroom.admin.advice import ADVICE as OF_ADMIN
from strongroom.admin.api.errors import OF_ADMIN as STATUSES
from strongroom.admin.api.errors import PartlyDone, PartlyWaits
from strongroom.admin.estate import Estate
from strongroom.console.access import READING, SignedOut
from strongroom.console.advice import ADVICE as OF_CONSOLE
from strongroom.console.cookies import Cookies
from strongroom.console.viewer import plain_context
from strongroom.core import errors
from strongroom.core.advice.of_callers import OF_CALLERS
from strongroom.core.advice.of_operators import OF_ADMINISTRATION, OF_KEYS
from strongroom.core.http.errors import DEFECT, ErrorAnswers, status_of
from strongroom.core.http.requests.named import current_id
from strongroom.core.http.route_access import PUBLIC
from strongroom.core.runtime.telemetry import Metrics

SIGN_IN: Final = "/sign-in"
HTMX: Final = "hx-request"
MAX_CODE: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """About every error of a status."""

    title: str
    kept: str
    """What was not lost."""
    next: str
    """What to do."""


ADVICE: Final[Mapping[int, Advice]] = {
    400: Advice(
        title="That cannot be read",
        kept="Nothing was changed.",
        next="Go back, mend what the message names, and send it again.",
    ),
    403: Advice(
        title="That is not allowed",
        kept="Nothing was changed.",
        next="Ask whoever runs the service for a token with the scope that is named, or for the approval that is missing.",
    ),
    404: Advice(
        title="There is no such thing",
        kept="Nothing was changed.",
        next="Check the id. A payment is found by its hash, its request, its Idempotency-Key or its approval.",
    ),
    409: Advice(
        title="That does not fit what there is",
        kept="Nothing was changed.",
        next="Somebody was faster, or it was done before: load the page again and look.",
    ),
    429: Advice(
        title="Too often",
        kept="Nothing was changed.",
        next="Wait a moment, then load the page again.",
    ),
    500: Advice(
        title="That is our mistake",
        kept="What was signed is stored, and payments go on.",
        next="Load the page again. The log has more under the id of this request.",
    ),
    503: Advice(
        title="Something does not answer",
        kept="Payments that are signed are stored; nothing of them is lost.",
        next="Load the page again in a moment. The overview says what is away.",
    ),
    504: Advice(
        title="It is not known whether that was done",
        kept="Nothing is lost: it either was done or was not.",
        next="Look whether it was done before you do it again.",
    ),
}
OTHER: Final = {405: 404, 413: 400, 415: 400, 422: 409, 423: 403, 401: 403}


class PageAnswers(ErrorAnswers):
    """Whoever is not signed in is led to the page to sign in; everything else is told on a page of its own."""

    statuses = STATUSES

    def __init__(self, metrics: Metrics, estate: Estate, cookies: Cookies) -> None:
        super().__init__("console", metrics)
        self._estate = estate
        self._cookies = cookies

    def handlers(self) -> dict[Any, Any]:
        return super().handlers() | {SignedOut: self._signed_out}

    def _of_ours(self, request: Request[Any, Any, Any], error: errors.StrongroomError) -> Response[Any]:
        self.count(error.instance_code)
        headers = {}
        if isinstance(error, errors.RateLimited):
            headers["Retry-After"] = str(error.retry_after_s)
        ledgers = error.ledgers if isinstance(error, PartlyDone | PartlyWaits) else ()
        approval = error.approval if isinstance(error, errors.ApprovalNeeded) else None
        return self._page(
            request,
            status_of(error, self.statuses),
            error.message,
            error.instance_code,
            headers,
            ledgers=ledgers,
            approval=approval,
        )

    def _of_framework(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        status = getattr(error, "status_code", HTTPStatus.BAD_REQUEST)
        code = HTTPStatus(status).phrase.lower().replace(" ", "_")
        self.count(code)
        return self._page(request, status, self.words_of(error), code, getattr(error, "headers", None))

    def _of_defect(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        super()._of_defect(request, error)
        return self._page(request, HTTPStatus.INTERNAL_SERVER_ERROR, DEFECT, "internal")

    def _page(
        self,
        request: Request[Any, Any, Any],
        status: int,
        message: str,
        code: str,
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> Response[Any]:
        advice = _advice(int(status))
        told = {"message": message, "code": code, "advice": advice, "request_id": current_id()}
        return Template(
            "refusal.html",
            context=plain_context(request, self._estate) | {"ledgers": (), "approval": None} | told | context,
            status_code=int(status),
            headers=dict(headers or {}),
        )

    def _signed_out(self, request: Request[Any, Any, Any], error: SignedOut) -> Response[Any]:
        """To the page to sign in, and from there back to where it was."""
        self.count(error.instance_code)
        if self._came_by_a_link(request):
            return Template("again.html", context=plain_context(request, self._estate))
        query = {}
        if request.method in READING and HTMX not in request.headers:
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            query = {"next": target} if target != "/" else {}
        path = f"{SIGN_IN}?{urlencode(query)}" if query else SIGN_IN
        gone = [self._cookies.no_session(request)]
        if error.message:
            gone.append(self._cookies.note(request, error.message))
        if HTMX in request.headers:
            return Response(b"", status_code=204, headers={"HX-Redirect": path}, cookies=gone)
        return Redirect(path, status_code=303, cookies=gone)

    def _came_by_a_link(self, request: Request[Any, Any, Any]) -> bool:
        """A link on another page brings no cookie along; the page itself, asked again by itself, does."""
        return (
            request.method == "GET"
            and self._cookies.session_of(request) is None
            and request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}
        )


@get("/errors/{code:str}", opt=PUBLIC)
async def explain_error(
    request: Request[Any, Any, Any], code: FromPath[str], estate: NamedDependency[Estate]
) -> Template:
    """What a code means, for whoever follows the link of an error page."""
    tables = (OF_CALLERS, OF_ADMINISTRATION, OF_ADMIN, OF_CONSOLE, OF_KEYS)
    told = [table[code] for table in tables if code in table]
    told += [chapter.codes[code] for chapter in estate.advice() if code in chapter.codes]
    context = {"code": code[:MAX_CODE], "told": told}
    return Template("error_code.html", context=plain_context(request, estate) | context)


def _advice(status: int) -> Advice:
    return ADVICE.get(status) or ADVICE.get(OTHER.get(status, 500)) or ADVICE[500]
