"""What the models of ledgers have in common whose service signs."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from sqlalchemy import select

from strongroom.core.errors import StrongroomError
from strongroom.core.intents.intent import Intent, Outcome
from strongroom.core.intents.resolver import Pace
from strongroom.core.intents.signing import Draft
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.intents.world import Model, Replica, Side, World
from support.trail import verify


class InTheWay(Exception):
    """What a draft raises in `prepare` where the account has an open intent."""

    def __init__(self, intent: Intent) -> None:
        super().__init__("An intent of the account is open")
        self.intent = intent


class SigningModel(Model, Protocol):
    """Signs when the account is free, waits for the outcome, tells it."""

    pace: Pace = Pace(noun="intents")

    def draft(self, side: Side, account: str, amount: int) -> Draft:
        """The next payment. `prepare` raises InTheWay, or a StrongroomError where it cannot be."""

    def draft_refused(self, side: Side, account: str, amount: int) -> Draft | None:
        """One that a rule of the chain refuses; None: the service would not sign such a one."""

    def is_on_chain(self, intent: Intent) -> bool: ...

    def may_still_be(self, intent: Intent) -> bool:
        """Whether the chain could take it yet: it has its place, and somebody out there may have the bytes."""

    def request(
        self, replica: Replica, account: str, amount: int, *, is_refused: bool
    ) -> Coroutine[Any, Any, None] | None:
        make = self.draft_refused if is_refused else self.draft
        draft = make(replica.side, account, amount)
        return None if draft is None else _pay(replica, draft, account, amount)

    async def sweep(self, replica: Replica) -> None:
        await replica.resolver.sweep()

    def is_true(self, intent: Intent) -> bool:
        is_there = self.is_on_chain(intent)
        is_right = is_there is (intent.outcome is Outcome.ACCEPTED)
        return is_right and (is_there or not self.may_still_be(intent))

    async def assert_told(self, world: World, intents: Sequence[Intent]) -> None:
        database = world.replicas[0].database
        outcomes = {intent.id: intent.outcome for intent in intents}
        signed = await _signatures(database)
        for amount, told in world.told:
            is_same = outcomes[told.id] is told.outcome
            # A rejected payload that is signed again is the very same intent, whose newer outcome counts.
            is_newer = told.outcome is Outcome.REJECTED and signed[told.notes["hash"]] > 1
            assert is_same or is_newer, (amount, told)
        assert await verify(database) >= len(intents)
        assert all(signed[intent.notes["hash"]] for intent in intents)


async def _pay(replica: Replica, draft: Draft, account: str, amount: int) -> None:
    async with replica.signing.turn(account):
        intent: Intent | None = None
        while intent is None:
            try:
                intent = await replica.signing.sign(draft)
            except InTheWay as found:
                await asyncio.shield(replica.resolver.resolve(found.intent))
            except StrongroomError:
                return  # nothing was signed, or nobody is told
        resolution = await asyncio.shield(replica.resolver.resolve(intent))
        replica.told.append((amount, resolution.intent))


async def _signatures(database: Database) -> Counter[str]:
    """How often each payload was signed, as the trail says."""
    query = select(tables.audit.c.details).where(tables.audit.c.action == "sign")
    rows = await database.fetch_all(query)
    return Counter(decode_json(row.details, dict[str, Any])["hash"] for row in rows)
