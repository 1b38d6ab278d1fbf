"""Rules and requests for tests of the guard."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.guard.rule import Vocabulary
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import Allowed, SignatureRequest
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy

VOCABULARY = Vocabulary(kinds=frozenset({"SEND", "RECEIVE"}), facts={"netuid": int, "call": str})
TRADER = Principal(name="token:trader", scopes=frozenset({"toy:*"}), source="192.0.2.7")


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
        seed: int = 1,
    ) -> None:
        self.database = database
        self.guard = Guard(clock, default)
        self.rules = GuardAdministration(
            database,
            Audit(clock),
            clock,
            SeededEntropy(seed),
            vocabulary=VOCABULARY,
            loosening_delay_ms=delay_s * 1000,
        )

    async def add(self, name: str, rule: Mapping[str, Any]) -> None:
        await self.rules.add(ADMIN, name, json.dumps(rule))

    async def authorize(self, asked: SignatureRequest) -> str | None:
        """Decides and commits, as a signature does; returns the rule that allowed it. Raises: Forbidden."""
        return (await self.database.write(lambda connection: self.guard.authorize(connection, asked))).rule

    async def ask(self, asked: SignatureRequest) -> str | None:
        return (await self.database.read(lambda connection: self.guard.ask(connection, asked))).rule

    def authorize_in(self, connection: Connection, asked: SignatureRequest) -> Allowed:
        return self.guard.authorize(connection, asked)


ADMIN = Principal(name="token:admin", scopes=frozenset({"*"}))
