"""Server-sent events: a page's word that it has changed. The page then asks for itself, with the viewer's own rights."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream

from strongroom.admin.api.access import ANY, PAYMENTS
from strongroom.admin.estate import Estate
from strongroom.console.access import Visitors
from strongroom.console.live.subjects import Sight, Subjects
from strongroom.console.live.watch import Read, Watch
from strongroom.console.viewer import Viewer
from strongroom.core.errors import NotFound, RateLimited, StrongroomError, Unavailable
from strongroom.core.http.route_access import needs

RECHECK_S: Final = 10.0
"""So often somebody who only looks is asked who they are: what ends their token ends the stream."""
MAX_NAME: Final = 190
CHANGED: Final = "event: changed\ndata: \n\n"
STILL_HERE: Final = ": still here\n\n"


class Streams(Controller):
    @get("/live", opt=needs(ANY) | {"query": ("of", "id")})
    async def follow(
        self,
        request: Request[Any, Any, Any],
        viewer: NamedDependency[Viewer],
        estate: NamedDependency[Estate],
        visitors: NamedDependency[Visitors],
        watch: NamedDependency[Watch],
        of: Annotated[str, QueryParameter()] = "overview",
        name: Annotated[str, QueryParameter(name="id", required=False, max_length=MAX_NAME)] = "",
    ) -> Stream:
        """`of`: overview, payments, approvals or payment, with its `id`."""
        sight = Sight.of(viewer.authority)
        subjects = Subjects(estate, sight)
        reads: dict[str, Read] = {
            "overview": subjects.overview,
            "payments": subjects.payments,
            "approvals": subjects.approvals,
            "payment": partial(subjects.payment, name),
        }
        if of not in reads:
            raise NotFound("There is no such page to follow")
        if of in {"payment", "payments"}:
            viewer.authority.require(PAYMENTS)
        shared = sight if of == "approvals" else replace(sight, own=())
        key = f"{of} {name if of == 'payment' else ''} {shared}"
        viewing = watch.viewing(key, reads[of], viewer.authority.name)
        seen = await viewing.__aenter__()

        async def events() -> AsyncIterator[str]:
            try:
                yield STILL_HERE
                while not seen.is_over:
                    if await seen.changed(RECHECK_S):
                        yield CHANGED
                        continue
                    if not await _sees_still(sight, visitors, request):
                        yield CHANGED  # the page asks for itself, and is led to sign in or connects anew
                        return
                    yield STILL_HERE
            finally:
                await viewing.__aexit__(None, None, None)

        return Stream(
            events(),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
        )


async def _sees_still(sight: Sight, visitors: Visitors, request: Request[Any, Any, Any]) -> bool:
    """Whether the caller still counts, and sees what they saw."""
    try:
        return Sight.of(await visitors.recheck(request)) == sight
    except (Unavailable, RateLimited):
        return True  # who it is cannot be asked now; nothing is shown meanwhile
    except StrongroomError:
        return False
