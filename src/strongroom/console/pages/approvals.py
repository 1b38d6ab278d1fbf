"""What others asked for and people must approve, and what the viewer asked for."""

from typing import Any, Final

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from strongroom.admin.api.access import ANY
from strongroom.admin.api.approvals import ApprovalsController, AskedController, Refusal
from strongroom.admin.estate import APPROVE
from strongroom.console.access import form_of
from strongroom.console.viewer import Section, Viewer
from strongroom.core.http.route_access import needs

SECTION: Final = Section(title="Approvals", path="/approvals", scope=ANY)
LIMIT: Final = 100
AnyRequest = Request[Any, Any, Any]


class ApprovalsPages(Controller):
    path = "/approvals"

    @get(opt=needs(ANY))
    async def show(self, viewer: NamedDependency[Viewer]) -> Template:
        waiting = await viewer.each(ApprovalsController.page, limit=LIMIT)
        asked = await viewer.each(AskedController.page, limit=LIMIT)
        return viewer.page(
            "approvals.html",
            may=viewer.may(APPROVE),
            waiting=[(name, one) for name, page in waiting.of.items() for one in page.approvals],
            asked=[(name, one) for name, page in asked.of.items() for one in page.approvals],
            away_now=sorted({*waiting.away, *asked.away}),
        )

    @post("/{on:str}/{approval:str}/approve", opt=needs(APPROVE))
    async def approve(
        self, on: FromPath[str], approval: FromPath[str], viewer: NamedDependency[Viewer]
    ) -> Response[Any]:
        found = await viewer.call(ApprovalsController.approve, on, approval=approval)
        last = "Enough people have approved it." if found.state.value == "approved" else "Others must, too."
        return viewer.done("/approvals", f"You approved {approval}. {last}")

    @post("/{on:str}/{approval:str}/refuse", opt=needs(APPROVE))
    async def refuse(
        self,
        request: AnyRequest,
        on: FromPath[str],
        approval: FromPath[str],
        viewer: NamedDependency[Viewer],
    ) -> Response[Any]:
        reason = (await form_of(request)).get("reason", "")
        await viewer.call(ApprovalsController.refuse, on, approval=approval, data=Refusal(reason=reason))
        return viewer.done("/approvals", f"You refused {approval}. Nothing was signed.")

    @post("/{on:str}/{approval:str}/withdraw", opt=needs(ANY))
    async def withdraw(
        self, on: FromPath[str], approval: FromPath[str], viewer: NamedDependency[Viewer]
    ) -> Response[Any]:
        await viewer.call(AskedController.withdraw, on, approval=approval)
        return viewer.done("/approvals", f"You withdrew {approval}. Nothing was signed.")


CONTROLLERS: Final = (ApprovalsPages,)
