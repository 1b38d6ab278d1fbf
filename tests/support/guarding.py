"""Rules and requests for tests of the guard."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Connection

from strongroom.core.errors import ApprovalNeeded, StrongroomError
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.approvals.administration import ApprovalAdministration
from strongroom.core.guard.approvals.approval import ApprovalState
from strongroom.core.guard.approvals.changes import ChangeApprovals
from strongroom.core.guard.approvals.parking import ParkedRequests
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.guard.vocabulary import Vocabulary
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import Allowed, Deferral, SignatureRequest
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.trail import open_trail

VOCABULARY = Vocabulary(kinds=frozenset({"SEND", "RECEIVE"}), facts={"netuid": int, "call": str})
LIFETIME_S = 86_400
TRADER = Principal(name="token:trader", scopes=frozenset({"toy:*"}), source="192.0.2.7")
ANN = Principal(name="token:ann", scopes=frozenset({"toy:approve"}))
BEN = Principal(name="token:ben", scopes=frozenset({"toy:approve"}))
EVE = Principal(name="token:eve", scopes=frozenset({"toy:read"}))


def request(
    *,
    principal: Principal = TRADER,
    amount_raw: int = 5,
    destination: str | None = "shop",
    wallet: str = "hot",
    account: str = "hot/0",
    kind: str = "SEND",
    is_amount_known: bool = True,
    facts: Mapping[str, str | int | None] | None = None,
    key: str | None = None,
    approval: str | None = None,
) -> SignatureRequest:
    return SignatureRequest(
        principal=principal,
        scope="toy:send",
        account=account,
        kind=kind,
        payload_hash=bytes(32),
        wallet=wallet,
        amount_raw=amount_raw,
        is_amount_known=is_amount_known,
        destination=destination,
        facts=facts or {},
        content_hash=b"",
        deferral=Deferral(key=key, document={"amount": amount_raw}, approval=approval),
    )


class Guarded:
    """The guard of one database, as one process has it, and what people do with its rules."""

    def __init__(
        self,
        database: Database,
        clock: ManualClock,
        *,
        default: Default = Default.ALLOW,
        delay_s: int = 0,
        change_approvals: int = 0,
        seed: int = 1,
    ) -> None:
        self.database = database
        self.guard = Guard(clock, default, key=open_trail())
        self.parked = ParkedRequests(
            Audit(clock, open_trail()), clock, SeededEntropy(seed + 100), lifetime_ms=LIFETIME_S * 1000
        )
        self.rules = GuardAdministration(
            database,
            Audit(clock, open_trail()),
            clock,
            SeededEntropy(seed),
            vocabulary=VOCABULARY,
            loosening_delay_ms=delay_s * 1000,
            approvals=ChangeApprovals(needed=change_approvals, lifetime_ms=LIFETIME_S * 1000),
        )
        self.approvals = ApprovalAdministration(
            database, Audit(clock, open_trail()), clock, ledger="toy", apply=self.rules.apply
        )

    async def add(self, name: str, rule: Mapping[str, Any]) -> None:
        await self.rules.add(ADMIN, name, json.dumps(rule))

    async def authorize(self, asked: SignatureRequest) -> str | None:
        """Decides and commits, as a signature does; returns the rule that allowed it. Raises: Forbidden."""
        return (await self.database.write(lambda connection: self.guard.authorize(connection, asked))).rule

    async def ask(self, asked: SignatureRequest) -> str | None:
        return (await self.database.read(lambda connection: self.guard.ask(connection, asked))).rule

    async def sign(self, asked: SignatureRequest) -> Allowed:
        """Decides as a signature does, and parks what needs approvals. Raises: Forbidden, Conflict, ApprovalNeeded."""
        return await self.parked.write(
            self.database, lambda connection: self.guard.authorize(connection, asked)
        )

    async def park(self, asked: SignatureRequest) -> str:
        """Asks for what must wait; returns its id."""
        with pytest.raises(ApprovalNeeded) as raised:
            await self.sign(asked)
        assert raised.value.approval is not None
        return raised.value.approval

    def authorize_in(self, connection: Connection, asked: SignatureRequest) -> Allowed:
        return self.guard.authorize(connection, asked)


ADMIN = Principal(name="token:admin", scopes=frozenset({"*"}))


def document_of(rule: Mapping[str, Any]) -> str:
    return json.dumps(rule)


def asks(needed: int = 1, *of: str, **parts: Any) -> dict[str, Any]:
    approvals: dict[str, Any] = {"needed": needed}
    if of:
        approvals["of"] = list(of)
    return {"effect": "approve", "approvals": approvals, **parts}


async def code(guarded: Guarded, asked: SignatureRequest) -> str:
    with pytest.raises(StrongroomError) as raised:
        await guarded.sign(asked)
    return raised.value.instance_code


async def state(guarded: Guarded, approval: str) -> ApprovalState:
    return (await guarded.approvals.show(approval)).state
