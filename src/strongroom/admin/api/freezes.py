"""Freezes of a token, a wallet, a ledger, or of everything."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath

from strongroom.admin.api import access
from strongroom.admin.api.errors import PartlyDone, PartlyWaits
from strongroom.admin.api.wire import Change, Changes, FreezeView, freeze_view
from strongroom.admin.estate import Authority, Estate
from strongroom.core.errors import ApprovalNeeded, NotFound
from strongroom.core.guard.everywhere import ALREADY_FROZEN, NOT_FROZEN, Outcome, change_each
from strongroom.core.guard.state import FreezeScope
from strongroom.core.http.route_access import needs
from strongroom.core.ledger.subjects import has_subject
from strongroom.core.security.access import Principal


class NewFreeze(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    scope: FreezeScope
    subject: str = ""
    """Name of the token, without `token:`, or of the wallet; empty for the ledger."""
    reason: str
    """It is told to those who ask for a signature."""
    anyway: bool = False
    """Also where no wallet or token has this name."""


class Reason(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    reason: str


class FreezesController(Controller):
    path = "/admin/v1/ledgers/{ledger:str}/freezes"
    tags = ("Freezes",)

    @get(summary="List freezes", opt=needs(access.READ))
    async def list_freezes(self, ledger: FromPath[str], estate: NamedDependency[Estate]) -> list[FreezeView]:
        """What is frozen now, the oldest first."""
        return [freeze_view(one) for one in await estate.find(ledger).rules.freezes()]

    @post(status_code=201, summary="Freeze", opt=needs(access.FREEZE))
    async def freeze(
        self,
        ledger: FromPath[str],
        data: Annotated[NewFreeze, Body()],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> FreezeView:
        """The next signature is refused, in every process; reading goes on. What is frozen already gets 409.

        What has no wallet or token of the name gets 404, and nothing is frozen, but for `anyway`.
        """
        running = estate.find(ledger)
        if data.subject and not data.anyway and not await has_subject(running, data.scope, data.subject):
            raise NotFound(
                f"Nothing is frozen: {ledger} has no {data.scope.value} {data.subject[:40]!r}. A token is named without"
                " token:, and anyway freezes the name all the same",
                code="subject_not_found",
            )
        return freeze_view(await running.rules.freeze(caller, data.scope, data.subject, data.reason))

    @delete("/{freeze:str}", status_code=204, summary="Unfreeze", opt=needs(access.UNFREEZE))
    async def unfreeze(
        self,
        ledger: FromPath[str],
        freeze: FromPath[str],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> None:
        """By the id of the freeze."""
        rules = estate.find(ledger).rules
        found = next((one for one in await rules.freezes() if one.id == freeze), None)
        if found is None:
            raise NotFound(f"No freeze that counts has the id {freeze[:40]!r}", code=NOT_FROZEN)
        await rules.unfreeze(caller, found.scope, found.subject, found.id)


class EverythingController(Controller):
    path = "/admin/v1"
    tags = ("Freezes",)

    @post("/freeze", status_code=200, summary="Freeze everything", opt=needs(access.FREEZE))
    async def freeze(
        self,
        data: Annotated[Reason, Body()],
        estate: NamedDependency[Estate],
        authority: NamedDependency[Authority],
    ) -> Changes:
        """Every ledger over which the caller has authority. Each is tried, whatever happens with another."""

        async def change(name: str, principal: Principal) -> None:
            await estate.find(name).rules.freeze(principal, FreezeScope.LEDGER, "", data.reason)

        return await change_everywhere(estate, authority, change, "frozen", done_code=ALREADY_FROZEN)

    @post("/unfreeze", status_code=200, summary="Unfreeze the ledgers", opt=needs(access.UNFREEZE))
    async def unfreeze(
        self, estate: NamedDependency[Estate], authority: NamedDependency[Authority]
    ) -> Changes:
        """Every ledger over which the caller has authority. Tokens and wallets that are frozen stay frozen."""

        async def change(name: str, principal: Principal) -> None:
            await estate.find(name).rules.unfreeze(principal, FreezeScope.LEDGER, "")

        return await change_everywhere(estate, authority, change, "unfrozen", done_code=NOT_FROZEN)


async def change_everywhere(
    estate: Estate,
    authority: Authority,
    change: Callable[[str, Principal], Awaitable[None]],
    done: str,
    *,
    done_code: str = "",
) -> Changes:
    """Changes every ledger over which the caller has authority. `done_code`: of the error that says that nothing is left to do.

    Raises:
        PartlyDone: it failed on some ledgers.
        PartlyWaits: it failed on none, and waits for approvals on some.
        StrongroomError: the one error that there is, of one ledger or of all.
    """

    async def change_one(name: str) -> None:
        await change(name, authority.principals[name])

    outcomes = [
        *(Outcome(ledger=name, error=error) for name, error in authority.away.items()),
        *await change_each(authority.principals, change_one, done_code=done_code),
    ]
    outcomes.sort(key=lambda one: estate.names.index(one.ledger))
    changes = [_change(one) for one in outcomes]
    faults = [one.error for one in outcomes if one.error is not None and not one.was_so]
    if not faults:
        return Changes(ledgers=changes)
    undone = ", ".join(one.ledger for one in changes if not one.done)
    if len(changes) > 1 and all(isinstance(one, ApprovalNeeded) for one in faults):
        raise PartlyWaits(f"not {done} yet, others must approve it first: {undone}", changes)
    if len(faults) == len(changes) and len({one.instance_code for one in faults}) == 1:
        raise faults[0]
    raise PartlyDone(f"not {done}: {undone}", changes)


def _change(one: Outcome) -> Change:
    error = one.error
    if error is None:
        return Change(ledger=one.ledger, done=True)
    waits = error.approval if isinstance(error, ApprovalNeeded) else None
    return Change(
        ledger=one.ledger,
        done=one.was_so,
        code=error.instance_code,
        detail=error.message,
        approval_id=waits,
    )
