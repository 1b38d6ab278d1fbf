"""No payment is made twice and nobody is told what is not so, in whatever order things happen and go wrong.

One test for every ledger: hypothesis puts payments, faults, crashes, pauses and time in any order; then all is healed, and the
books of the service must be those of the chain.
"""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from support.intents.atto_model import AttoModel
from support.intents.bittensor_model import BittensorModel
from support.intents.example_model import ExampleModel
from support.intents.hathor_model import HathorModel
from support.intents.world import FAULTS, REPLICAS, Fault, Model, World

MODELS: dict[str, Callable[[], Model]] = {
    "example": ExampleModel,
    "atto": AttoModel,
    "hathor": HathorModel,
    "bittensor": BittensorModel,
}
EXAMPLES = 20
"""Lives of a ledger in the usual tier; the slow tier has a hundred times as many."""
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Nothing is shrunk: that takes many minutes, during which a failure looks like a hang. An order has 16 steps at most as it is."""
REPLICA = st.integers(0, REPLICAS - 1)
ACCOUNT = st.integers(0, 1)
DISTURBANCE = st.integers(0, 4)


class AnyOrder(RuleBasedStateMachine):
    """One life of two replicas."""

    make: Callable[[], Model]

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(prefix="strongroom-world-")
        self.amount = 0
        self.world = self._run(self._begin(type(self).make()))

    async def _begin(self, model: Model) -> World:
        world = World(model, await model.new_database(Path(self.folder.name)))
        await world.limit_all()
        return world

    @rule(replica=REPLICA, account=ACCOUNT, is_refused=st.booleans())
    def pay(self, replica: int, account: int, is_refused: bool) -> None:
        self.amount += 1
        name = self.world.model.accounts[account]
        self._run(self.world.pay(replica, name, self.amount, is_refused=is_refused))

    @rule(faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=3))
    def go_wrong(self, faults: list[Fault]) -> None:
        self.world.faults.extend(faults)

    @rule(fault=st.sampled_from(FAULTS), times=st.integers(2, 5))
    def go_wrong_again_and_again(self, fault: Fault, times: int) -> None:
        self.world.faults.extend([fault] * times)

    @rule(replica=REPLICA, writes=st.integers(1, 4), committed=st.booleans())
    def die_soon(self, replica: int, writes: int, committed: bool) -> None:
        self.world.arm(replica, writes, committed=committed)

    @rule(replica=REPLICA)
    def restart(self, replica: int) -> None:
        self._run(self.world.restart(replica))

    @rule(replica=REPLICA, steps=st.integers(1, 6))
    def pause(self, replica: int, steps: int) -> None:
        self.world.pause(replica, steps)

    @rule(
        replica=REPLICA,
        account=ACCOUNT,
        steps=st.integers(1, 6),
        faults=st.lists(st.sampled_from(FAULTS), max_size=3),
        seconds=st.sampled_from([0.0, 0.3, 2.0]),
    )
    def overlap(self, replica: int, account: int, steps: int, faults: list[Fault], seconds: float) -> None:
        self.amount += 1
        self.world.faults.extend(faults)
        name = self.world.model.accounts[account]
        self._run(self.world.overlap(replica, name, self.amount, steps, seconds))

    @rule(
        replica=REPLICA,
        account=ACCOUNT,
        what=DISTURBANCE,
        faults=st.lists(st.sampled_from(FAULTS), max_size=3),
        before=st.sampled_from([0.0, 5.0]),
        after=st.sampled_from([0.0, 5.0, 40.0]),
    )
    def pay_before_and_after(
        self, replica: int, account: int, what: int, faults: list[Fault], before: float, after: float
    ) -> None:
        """A disturbance between two payments, and faults for what is asked and offered after them."""
        self.pay(replica, account, is_refused=False)
        self.pass_time(before)
        self.disturb(what)
        self.world.faults.extend(faults)
        self.pay(1 - replica, account, is_refused=False)
        self.pass_time(after)

    @rule(replica=REPLICA)
    def resume(self, replica: int) -> None:
        self._run(self.world.resume(replica))

    @rule(replica=REPLICA)
    def sweep(self, replica: int) -> None:
        self._run(self.world.sweep(replica))

    @rule(seconds=st.sampled_from([0.2, 1.0, 5.0, 20.0]))
    def pass_time(self, seconds: float) -> None:
        self._run(self.world.advance(seconds))

    @rule(account=ACCOUNT)
    def lose_the_place(self, account: int) -> None:
        self._run(self.world.take_next_place(self.world.model.accounts[account]))

    @rule(what=DISTURBANCE)
    def disturb(self, what: int) -> None:
        self._run(self.world.disturb(what))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self._run(self.world.recover())
            self._run(self.world.assert_all_can_pay())
            self._run(self.world.assert_books())
        finally:
            self._run(self.world.end())
            self.runner.close()
            self.folder.cleanup()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)


@pytest.mark.parametrize("last", ["lost request", "lost answer"])
@pytest.mark.parametrize("ledger", MODELS)
def test_what_is_asked_for_again_while_another_replica_follows_it_ends(ledger: str, last: Fault) -> None:
    """One replica finds no node, and its client asks anew with the same bytes; the other still follows the first request."""
    life = _machine(ledger)()
    life.begin()
    try:
        for replica in (1, 0):  # a wallet of Hathor sends through the replica that came last, too
            life.pay(replica, 1, is_refused=False)
        life.amount = 4  # the next wallet of Hathor sends through both, and proposes anew
        life.go_wrong(["no connection", "no connection", last])
        life.pay(1, 0, is_refused=False)
        life.pass_time(40.0)
    finally:
        life.teardown()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("ledger", MODELS)
def test_books_are_right_in_any_order(ledger: str) -> None:
    _try_many(ledger, examples=EXAMPLES)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("ledger", MODELS)
def test_books_are_right_in_very_many_orders(ledger: str) -> None:
    _try_many(ledger, examples=100 * EXAMPLES)


def _machine(ledger: str) -> type[AnyOrder]:
    return type("AnyOrder", (AnyOrder,), {"make": staticmethod(MODELS[ledger])})


def _try_many(ledger: str, *, examples: int) -> None:
    run_state_machine_as_test(
        _machine(ledger),
        settings=settings(
            max_examples=examples,
            stateful_step_count=16,
            deadline=None,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
