"""At most one signature is made for an approval, for exactly what was approved, in whatever order things happen and go wrong."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from strongroom.core.errors import ApprovalNeeded, Conflict, Forbidden, IdempotencyMismatch, StrongroomError
from strongroom.core.guard.approvals.approval import OPEN, ApprovalState
from strongroom.core.guard.approvals.carrying_out import ApprovedRequest, CarryingOut
from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import Deferral, SignatureRequest, SigningGate
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from support.clock import ManualClock
from support.dying_database import Died, DyingDatabase
from support.guarding import ADMIN, LIFETIME_S, Guarded, request
from support.trail import open_trail, verify

REPLICAS = 2
LIMIT = 10
RULE = {"effect": "approve", "limit": {"amount_raw": str(LIMIT)}, "approvals": {"needed": 1}}
PEOPLE = [Principal(name=f"token:{name}", scopes=frozenset({"toy:approve"})) for name in ("ann", "ben")]
REPLICA = st.integers(0, REPLICAS - 1)
KEY = st.sampled_from([None, "a"])
AMOUNT = st.sampled_from([LIMIT + 1, LIMIT + 1, LIMIT + 2, LIMIT])
REFUSALS = (ApprovalNeeded, Forbidden, Conflict, IdempotencyMismatch, Died)


class Replica:
    """One process: it dies at an armed write, and another one begins."""

    def __init__(self, path: Path, clock: ManualClock, seed: int) -> None:
        self.database = DyingDatabase(sqlite_url(str(path)))
        self.guarded = Guarded(self.database, clock, seed=seed)
        self._gate = SigningGate(self.guarded.guard, Audit(clock, open_trail()), self.guarded.parked)
        self._carrying = CarryingOut(
            "toy",
            self,
            database=self.database,
            audit=Audit(clock, open_trail()),
            clock=clock,
        )
        self._writes_left = 0

    def die_soon(self, writes: int, *, committed: bool) -> None:
        self._writes_left = writes
        real = self.database.write

        async def write(work: Any, **options: Any) -> Any:
            self._writes_left -= 1
            if self._writes_left == 0:
                if committed:
                    await real(work, **options)
                self.database.dead = True
            return await real(work, **options)

        self.database.write = write  # type: ignore[method-assign]

    async def sign(self, asked: SignatureRequest) -> None:
        def work(connection: Connection) -> None:
            with self._gate.sign(connection, asked, lambda payload: payload):
                pass

        await self._gate.write(self.database, work)

    async def carry_out(self, asked: ApprovedRequest) -> None:
        """As a ledger: the same request, from its document."""
        amount = asked.document["amount"]
        deferral = Deferral(key=asked.key, document=asked.document, approval=asked.id)
        await self.sign(replace(request(amount_raw=amount, principal=asked.principal), deferral=deferral))

    async def advance(self) -> None:
        await self._carrying.advance()


class Life:
    """One life of two replicas on one database."""

    def __init__(self, template: Path) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="strongroom-approvals-")
        self.path = Path(self.folder.name) / "toy.db"
        shutil.copy(template, self.path)
        self.clock = ManualClock()
        self.seed = 0
        self.replicas = [self._new_replica() for _ in range(REPLICAS)]
        self.has_rule = True

    def _new_replica(self) -> Replica:
        self.seed += 1
        return Replica(self.path, self.clock, self.seed)

    def ask(self, replica: int, key: str | None, amount: int) -> None:
        waits = any(
            (one.key, one.terms["amountRaw"]) == (key, str(amount))
            for one in self._run(self.replicas[0].guarded.approvals.list(OPEN))
        )
        before = len(self._run(self._signed()))
        self._try(self.replicas[replica].sign(request(amount_raw=amount, key=key)))
        made = self._run(self._signed())[before:]
        if waits or (self.has_rule and amount > LIMIT):  # or it would be paid again once it is approved
            assert all("approval" in one for one in made)

    def approve(self, replica: int, who: Principal, which: int) -> None:
        if waiting := self._run(self._waiting()):
            one = waiting[which % len(waiting)]
            self._try(self.replicas[replica].guarded.approvals.approve(who, one))

    def refuse(self, replica: int, which: int) -> None:
        if waiting := self._run(self._waiting()):
            one = waiting[which % len(waiting)]
            self._try(self.replicas[replica].guarded.approvals.refuse(PEOPLE[0], one, "no"))

    def carry_out(self, replica: int) -> None:
        self._try(self.replicas[replica].advance())

    def carry_out_at_both_while_the_client_asks(self, key: str | None, amount: int) -> None:
        async def together() -> None:
            tasks = [each.advance() for each in self.replicas]
            asked = request(amount_raw=amount, key=key)
            results = await asyncio.gather(
                *tasks, *(each.sign(asked) for each in self.replicas), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseExceptionGroup):
                    assert all(isinstance(one, REFUSALS) for one in result.exceptions), result
                elif isinstance(result, BaseException):
                    assert isinstance(result, REFUSALS), result

        self._run(together())
        self._revive()

    def die_soon(self, replica: int, writes: int, committed: bool) -> None:
        self.replicas[replica].die_soon(writes, committed=committed)

    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def change_the_rule(self, replica: int) -> None:
        rules = self.replicas[replica].guarded.rules
        change = rules.remove(ADMIN, "big") if self.has_rule else rules.add(ADMIN, "big", json.dumps(RULE))
        self._try(change)
        self.has_rule = bool(self._run(self.replicas[replica].guarded.rules.rules()))

    def ask_before_and_after_a_change(self, replica: int, key: str | None, amount: int) -> None:
        self.ask(replica, key, amount)
        self.change_the_rule(replica)
        self.ask(1 - replica, key, amount)

    def freeze_for_a_while(self, replica: int) -> None:
        rules = self.replicas[replica].guarded.rules
        self._try(rules.freeze(ADMIN, FreezeScope.WALLET, "hot", "a theft"))
        self._try(self.replicas[replica].advance())
        while self._run(self.replicas[0].guarded.rules.freezes()):
            self._try(self.replicas[0].guarded.rules.unfreeze(ADMIN, FreezeScope.WALLET, "hot"))

    def live(self, actions: Sequence[tuple[Any, ...]]) -> None:
        try:
            for act, *arguments in actions:
                act(self, *arguments)
            self._run(self._assert_books())
        finally:
            for each in self.replicas:
                self._run(each.database.close())
            self.runner.close()
            self.folder.cleanup()

    async def _assert_books(self) -> None:
        approvals = {
            one.id: one for one in await self.replicas[0].guarded.approvals.list(list(ApprovalState))
        }
        signed = [one for one in await self._signed() if "approval" in one]
        assert len({one["approval"] for one in signed}) == len(signed), "an approval was spent twice"
        spent = {each.id for each in approvals.values() if each.state is ApprovalState.SPENT}
        assert {one["approval"] for one in signed} == spent
        for one in signed:
            terms = approvals[one["approval"]].terms
            assert (one["amountRaw"], one["destination"]) == (terms["amountRaw"], terms["destination"])
        keys = [each.key for each in approvals.values() if each.key is not None]
        assert len(keys) == len(set(keys)), "a key has two requests"
        await verify(self.replicas[0].database)

    async def _signed(self) -> list[dict[str, Any]]:
        query = select(tables.audit.c.details).where(tables.audit.c.action == "sign")
        rows = await self.replicas[0].database.fetch_all(query.order_by(tables.audit.c.sequence))
        return [json.loads(row.details) for row in rows]

    async def _waiting(self) -> list[str]:
        return [one.id for one in await self.replicas[0].guarded.approvals.list(OPEN)]

    def _try(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            self._run(work)
        except* (StrongroomError, Died):
            pass
        self._revive()

    def _revive(self) -> None:
        for number, each in enumerate(self.replicas):
            if each.database.dead:
                self._run(each.database.close())
                self.replicas[number] = self._new_replica()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)


ACTIONS = st.one_of(
    st.tuples(st.just(Life.ask), REPLICA, KEY, AMOUNT),
    st.tuples(st.just(Life.ask), REPLICA, KEY, AMOUNT),
    st.tuples(st.just(Life.approve), REPLICA, st.sampled_from(PEOPLE), st.integers(0, 5)),
    st.tuples(st.just(Life.refuse), REPLICA, st.integers(0, 5)),
    st.tuples(st.just(Life.carry_out), REPLICA),
    st.tuples(st.just(Life.carry_out_at_both_while_the_client_asks), KEY, AMOUNT),
    st.tuples(st.just(Life.die_soon), REPLICA, st.integers(1, 3), st.booleans()),
    st.tuples(st.just(Life.pass_time), st.sampled_from([1, LIFETIME_S // 2])),
    st.tuples(st.just(Life.change_the_rule), REPLICA),
    st.tuples(st.just(Life.ask_before_and_after_a_change), REPLICA, KEY, AMOUNT),
    st.tuples(st.just(Life.freeze_for_a_while), REPLICA),
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the rule."""
    path = tmp_path_factory.mktemp("template") / "toy.db"

    async def make() -> None:
        database = Database(sqlite_url(str(path)))
        await migrate(database, [])
        await Guarded(database, ManualClock()).add("big", RULE)
        await database.close()

    asyncio.run(make())
    return path


def test_an_approval_is_spent_once_in_any_order(template: Path) -> None:
    _try_many(template, examples=20)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_approval_is_spent_once_in_very_many_orders(template: Path) -> None:
    _try_many(template, examples=1_000)


def _try_many(template: Path, *, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(actions=st.lists(ACTIONS, min_size=20, max_size=40))
    def check(actions: list[tuple[Any, ...]]) -> None:
        Life(template).live(actions)

    check()
