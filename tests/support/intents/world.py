"""A world for intents in which everything goes wrong: lost requests and answers, lies, crashes at any commit, paused replicas.

Time stands still unless the test moves it, and nothing is random: hypothesis decides. `Model` is what a ledger brings.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.core.errors import StrongroomError
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.intents.intent import Intent, Outcome
from strongroom.core.intents.network import Effects, Network
from strongroom.core.intents.resolver import Pace, Resolver
from strongroom.core.intents.signing import Signing
from strongroom.core.intents.store import list_intents
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SigningGate
from strongroom.core.storage.database import ANSWER_S, Database
from support.clock import ManualClock, SeededEntropy
from support.intents.limits import assert_counted, limit_all
from support.trail import open_trail

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


class Model(Protocol):
    """A ledger of its own for one run. Amounts are unique: each names one wish of a client.

    `SigningModel` has what ledgers have in common whose service signs.
    """

    accounts: Sequence[str]
    pace: Pace
    keeps_counts: bool = False
    """Some payments only count as failed, without proof: rules go on counting them."""

    async def new_database(self, folder: Path) -> URL: ...

    def connect(self, side: Side, database: Database) -> tuple[Network, Effects[Any]]: ...

    def request(
        self, replica: "Replica", account: str, amount: int, *, is_refused: bool
    ) -> Coroutine[Any, Any, None] | None:
        """What a client asks of the replica, and is told. `is_refused`: a rule of the chain refuses this payment.

        None: the service does not take such a request.
        """

    async def sweep(self, replica: "Replica") -> None:
        """What the service does from time to time."""

    def take_next_place(self, account: str) -> None:
        """The same key in another wallet."""

    def disturb(self, what: int) -> None:
        """What befalls this ledger's network alone, a fork for example. `what` chooses; nothing where nothing may."""

    def amounts_on_chain(self, account: str) -> list[int]:
        """What we sent, as the chain has it."""

    def is_true(self, intent: Intent) -> bool:
        """Whether an outcome is that of the chain, for good."""

    async def assert_told(self, world: "World", intents: Sequence[Intent]) -> None:
        """Everybody was told the truth."""

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
        async with self.activity.unit():
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
        async with self.activity.unit():
            return await super().read(work)

    def _require_life(self) -> None:
        if self.is_dead:
            raise Died("The process is gone")


class Activity:
    """Units of work under way, of all databases. They take turns, so that the same orders end in the same way."""

    def __init__(self) -> None:
        self.count = 0
        self._running = 0
        self._turn = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[None]:
        self.count += 1
        self._running += 1
        self._idle.clear()
        try:
            async with self._turn:
                yield
        finally:
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
            pace=world.model.pace,
        )
        gate = SigningGate(
            Guard(world.clock, Default.ALLOW, key=open_trail()), Audit(world.clock, open_trail())
        )
        self.signing = Signing(
            "world", database=self.database, gate=gate, clock=world.clock, metrics=Metrics("world")
        )
        self.told = world.told

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
        self.broken: list[Exception] = []
        """What a request died of that is neither an outcome nor a refusal."""
        self.replicas = [Replica(self) for _ in range(REPLICAS)]

    async def limit_all(self) -> None:
        """A rule counts every payment."""
        database = Database(self.url)
        await limit_all(database, self.clock)
        await database.close()

    async def pay(self, number: int, account: str, amount: int, *, is_refused: bool) -> None:
        replica = self.replicas[number]
        request = self.model.request(replica, account, amount, is_refused=is_refused)
        if request is None:
            return
        self.asked[amount] = account
        replica.background.start(self._ask(request))
        await self.activity.over()

    async def _ask(self, request: Coroutine[Any, Any, None]) -> None:
        try:
            await request
        except Exception as error:  # noqa: BLE001 - the world tells it in the end
            self.broken.append(error)

    async def sweep(self, number: int) -> None:
        replica = self.replicas[number]

        async def sweep() -> None:
            with suppress(StrongroomError):
                await self.model.sweep(replica)

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

    async def disturb(self, what: int) -> None:
        self.model.disturb(what)
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
        assert not self.broken
        model, database = self.model, self.replicas[0].database
        intents = await database.read(lambda connection: list_intents(connection, limit=10_000))
        for intent in intents:
            assert model.is_true(intent), intent
        await model.assert_told(self, intents)
        for account in model.accounts:
            amounts = model.amounts_on_chain(account)
            assert len(amounts) == len(set(amounts)), f"paid twice from {account}: {amounts}"
            assert all(self.asked[amount] == account for amount in amounts)
            assert await model.books_are_right(database, account), account
        await assert_counted(database, intents, keeps_some=model.keeps_counts)
        stored = {intent.id for intent in intents}
        assert set(model.offered()) <= stored, "what is not stored is not offered"

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
                await self.sweep(0)
            else:
                raise AssertionError(f"{account} pays no more")

    async def _open(self) -> list[Intent]:
        database = self.replicas[0].database
        return await database.read(lambda connection: list_intents(connection, outcome=Outcome.OPEN))

    async def end(self) -> None:
        for replica in self.replicas:
            await replica.end()
