"""A world for intents in which everything goes wrong: lost requests and answers, lies, crashes at any commit, paused replicas.

Time stands still unless the test moves it, and nothing is random: hypothesis decides. `Model` is what a ledger brings.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy import Connection, select
from sqlalchemy.engine import URL

from strongroom.core.errors import StrongroomError
from strongroom.core.intents.intent import Intent, Outcome
from strongroom.core.intents.resolver import Effects, Network, Pace, Resolver
from strongroom.core.intents.signing import Draft, Signing
from strongroom.core.intents.store import list_intents
from strongroom.core.json_decoder import decode_json
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.audit import Audit, verify
from strongroom.core.security.policy import Policy, SigningGate
from strongroom.core.storage import tables
from strongroom.core.storage.database import ANSWER_S, Database
from support.clock import ManualClock, SeededEntropy

T = TypeVar("T")
Fault = Literal["no connection", "lost request", "lost answer", "lie"]
FAULTS: tuple[Fault, ...] = ("no connection", "lost request", "lost answer", "lie")
REPLICAS = 2
PATIENCE_ROUNDS = 60
LAST_AMOUNT = 900
"""Of the payments that every account makes at the end; those before are smaller."""
SPINS = 12
LEDGER_SCOPE = "*"


class Died(StrongroomError):
    """The replica's process is gone."""


@dataclass(slots=True, kw_only=True)
class Side:
    """One replica's view of the ledger: it waits while the replica is paused, and fails as `faults` say."""

    clock: ManualClock
    faults: deque[Fault]
    """Each befalls one request to the node, in their order; shared by all replicas."""
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    pauses_in: int | None = None
    """The process stands still at its nth step from now: before a unit of work, or before or after a request to the node."""

    async def step(self) -> None:
        if self.pauses_in is not None:
            self.pauses_in -= 1
            if self.pauses_in <= 0:
                self.pauses_in = None
                self.awake.clear()
        await self.awake.wait()

    async def arrive(self) -> Fault | None:
        await self.step()
        return self.faults.popleft() if self.faults else None


class InTheWay(Exception):
    """What `Model.draft` raises in `prepare` where the account has an open intent."""

    def __init__(self, intent: Intent) -> None:
        super().__init__("An intent of the account is open")
        self.intent = intent


class Model(Protocol):
    """A ledger of its own for one run. Amounts are unique: each names one wish of a client."""

    accounts: Sequence[str]

    async def new_database(self, folder: Path) -> URL: ...

    def connect(self, side: Side, database: Database) -> tuple[Network, Effects[Any]]: ...

    def draft(self, side: Side, account: str, amount: int) -> Draft:
        """The next payment. `prepare` raises InTheWay, or a StrongroomError where it cannot be."""

    def draft_refused(self, side: Side, account: str, amount: int) -> Draft | None:
        """One that a rule of the chain refuses; None: the service would not sign such a one."""

    def take_next_place(self, account: str) -> None:
        """The same key in another wallet."""

    def amounts_on_chain(self, account: str) -> list[int]:
        """What we sent, as the chain has it."""

    def is_on_chain(self, intent: Intent) -> bool: ...

    def may_still_be(self, intent: Intent) -> bool:
        """Whether the chain could take it yet: it has its place, and somebody out there may have the bytes."""

    def offered(self) -> list[bytes]:
        """Ids of everything that may have reached a node."""

    async def books_are_right(self, database: Database, account: str) -> bool:
        """Whether what the service counts of the account is what the chain says."""


class FragileDatabase(Database):
    """Dies at its nth write from now, before it or just after its commit; waits while its replica is paused."""

    def __init__(self, url: URL, side: Side, activity: "Activity") -> None:
        super().__init__(url)
        self.side = side
        self.activity = activity
        self.dies_in: int | None = None
        self.dies_committed = False
        self.is_dead = False

    async def write(self, work: Callable[[Connection], T], *, answer_s: float | None = ANSWER_S) -> T:
        await self.side.step()
        self._require_life()
        with self.activity:
            if self.dies_in is not None:
                self.dies_in -= 1
                if self.dies_in <= 0:
                    self.is_dead = True
                    if self.dies_committed:
                        await super().write(work, answer_s=answer_s)
            self._require_life()
            return await super().write(work, answer_s=answer_s)

    async def read(self, work: Callable[[Connection], T]) -> T:
        await self.side.step()
        self._require_life()
        with self.activity:
            return await super().read(work)

    def _require_life(self) -> None:
        if self.is_dead:
            raise Died("The process is gone")


class Activity:
    """Units of work under way, of all databases."""

    def __init__(self) -> None:
        self.count = 0
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __enter__(self) -> None:
        self.count += 1
        self._running += 1
        self._idle.clear()

    def __exit__(self, *_: object) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()

    async def over(self) -> None:
        """Returns when every task sleeps on the clock, or waits for a paused replica, or for another task."""
        spins, seen = 0, self.count
        while spins < SPINS:
            await self._idle.wait()
            await asyncio.sleep(0)
            spins = spins + 1 if seen == self.count and self._idle.is_set() else 0
            seen = self.count


class Replica:
    """A process of the service."""

    def __init__(self, world: "World") -> None:
        self.side = Side(clock=world.clock, faults=world.faults)
        self.side.awake.set()
        self.database = FragileDatabase(world.url, self.side, world.activity)
        self.background = Background()
        network, effects = world.model.connect(self.side, self.database)
        self.resolver: Resolver[Any] = Resolver(
            network=network,
            effects=effects,
            database=self.database,
            clock=world.clock,
            entropy=SeededEntropy(),
            background=self.background,
            pace=Pace(noun="intents"),
        )
        gate = SigningGate(Policy(), Audit(world.clock))
        self.signing = Signing(
            "world", database=self.database, gate=gate, clock=world.clock, metrics=Metrics("world")
        )
        self._told = world.told

    async def pay(self, draft: Draft, account: str, amount: int) -> None:
        """What a request does: sign when the account is free, wait for the outcome, tell it."""
        async with self.signing.turn(account):
            intent: Intent | None = None
            while intent is None:
                try:
                    intent = await self.signing.sign(draft)
                except InTheWay as found:
                    await asyncio.shield(self.resolver.resolve(found.intent))
                except StrongroomError:
                    return  # nothing was signed, or nobody is told
            resolution = await asyncio.shield(self.resolver.resolve(intent))
            self._told.append((amount, resolution.intent))

    async def end(self) -> None:
        self.database.is_dead = True
        self.side.awake.set()
        await self.background.close()
        await self.database.close()


class World:
    """Two replicas on one database, a ledger, and what may befall them."""

    def __init__(self, model: Model, url: URL) -> None:
        self.model = model
        self.url = url
        self.clock = ManualClock()
        self.faults: deque[Fault] = deque()
        self.activity = Activity()
        self.told: list[tuple[int, Intent]] = []
        self.asked: dict[int, str] = {}
        self.replicas = [Replica(self) for _ in range(REPLICAS)]

    async def pay(self, number: int, account: str, amount: int, *, is_refused: bool) -> None:
        replica = self.replicas[number]
        make = self.model.draft_refused if is_refused else self.model.draft
        draft = make(replica.side, account, amount)
        if draft is None:
            return
        self.asked[amount] = account
        replica.background.start(replica.pay(draft, account, amount))
        await self.activity.over()

    async def sweep(self, number: int) -> None:
        replica = self.replicas[number]

        async def sweep() -> None:
            with suppress(StrongroomError):
                await replica.resolver.sweep()

        replica.background.start(sweep())
        await self.activity.over()

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.activity.over()

    def pause(self, number: int, steps: int) -> None:
        """The process stands still at one of its next steps."""
        self.replicas[number].side.pauses_in = steps

    async def resume(self, number: int) -> None:
        self.replicas[number].side.pauses_in = None
        self.replicas[number].side.awake.set()
        await self.activity.over()

    async def overlap(self, number: int, account: str, amount: int, steps: int, seconds: float) -> None:
        """The process that signs stands still at one of its steps, and the other takes up what it has left meanwhile."""
        self.pause(number, steps)
        await self.pay(number, account, amount, is_refused=False)
        await self.sweep(1 - number)
        await self.advance(seconds)
        await self.resume(number)

    def arm(self, number: int, writes: int, *, committed: bool) -> None:
        """The process dies at one of its next writes."""
        database = self.replicas[number].database
        database.dies_in, database.dies_committed = writes, committed

    async def restart(self, number: int) -> None:
        await self.replicas[number].end()
        self.replicas[number] = Replica(self)
        await self.activity.over()

    async def take_next_place(self, account: str) -> None:
        self.model.take_next_place(account)
        await self.activity.over()

    async def recover(self) -> None:
        """Nothing goes wrong any more: after a while every outcome is known."""
        self.faults.clear()
        for number, replica in enumerate(self.replicas):
            replica.database.dies_in = None
            await self.resume(number)
            if replica.database.is_dead:
                await self.restart(number)
        for _ in range(PATIENCE_ROUNDS):
            await self.sweep(0)
            await self.advance(20)
            if not await self._open() and not any(one.resolver.count for one in self.replicas):
                return
        raise AssertionError(f"still open: {await self._open()}")

    async def assert_books(self) -> None:
        """Whatever happened, no payment was made twice, and everybody was told the truth."""
        model, database = self.model, self.replicas[0].database
        intents = await database.read(lambda connection: list_intents(connection, limit=10_000))
        for intent in intents:
            is_there = model.is_on_chain(intent)
            assert is_there is (intent.outcome is Outcome.ACCEPTED), intent
            assert is_there or not model.may_still_be(intent), intent
        outcomes = {intent.id: intent.outcome for intent in intents}
        signed = await self._signatures()
        for amount, told in self.told:
            is_same = outcomes[told.id] is told.outcome
            # A rejected payload that is signed again is the very same intent, whose newer outcome counts.
            is_newer = told.outcome is Outcome.REJECTED and signed[told.notes["hash"]] > 1
            assert is_same or is_newer, (amount, told)
        for account in model.accounts:
            amounts = model.amounts_on_chain(account)
            assert len(amounts) == len(set(amounts)), f"paid twice from {account}: {amounts}"
            assert all(self.asked[amount] == account for amount in amounts)
            assert await model.books_are_right(database, account), account
        assert set(model.offered()) <= set(outcomes), "what is not stored is not offered"
        await self._assert_trail(intents)

    async def assert_all_can_pay(self) -> None:
        """Nothing that happened keeps an account from paying now."""
        for number, account in enumerate(self.model.accounts):
            amount = LAST_AMOUNT + number
            for _ in range(PATIENCE_ROUNDS):
                if amount in self.model.amounts_on_chain(account):
                    break
                if not await self._open():  # the client asks, and again after a refusal
                    await self.pay(0, account, amount, is_refused=False)
                await self.advance(20)
            else:
                raise AssertionError(f"{account} pays no more")

    async def _assert_trail(self, intents: Sequence[Intent]) -> None:
        assert await verify(self.replicas[0].database) >= len(intents)
        signed = await self._signatures()
        assert all(signed[intent.notes["hash"]] for intent in intents)

    async def _signatures(self) -> Counter[str]:
        """How often each payload was signed, as the trail says."""
        query = select(tables.audit.c.details).where(tables.audit.c.action == "sign")
        rows = await self.replicas[0].database.fetch_all(query)
        return Counter(decode_json(row.details, dict[str, Any])["hash"] for row in rows)

    async def _open(self) -> list[Intent]:
        database = self.replicas[0].database
        return await database.read(lambda connection: list_intents(connection, outcome=Outcome.OPEN))

    async def end(self) -> None:
        for replica in self.replicas:
            await replica.end()
