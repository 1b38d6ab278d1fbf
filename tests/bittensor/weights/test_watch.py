"""What costs a validator money in silence is in the metrics, as the chain has it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from strongroom.bittensor.weights.watch import ValidatorWatch
from strongroom.core.errors import Unavailable
from strongroom.core.runtime.telemetry import Metrics
from strongroom_sandbox.bittensor.execution.dispatch import Context
from strongroom_sandbox.bittensor.pallets.shared import epochs, stakes
from strongroom_sandbox.bittensor.pallets.shared.view import View
from strongroom_sandbox.bittensor.pallets.weights.commit_reveal import epoch_of
from strongroom_sandbox.bittensor.rules import epochs as schedule
from support.bittensor.live_node import NETUID, SUBTENSOR, LiveNode, live_node, new_node
from support.bittensor.weighing import OTHERS, pooled, set_weights, weighing_service
from support.bittensor_service import HOT, BittensorService

PARENT, CHILD = OTHERS[0], OTHERS[1]
HALF = 2**63


@pytest.fixture(params=[293, 424])
async def node(request: pytest.FixtureRequest) -> AsyncIterator[LiveNode]:
    async with live_node(new_node(request.param, [HOT.public_key, *OTHERS])) as live:
        yield live


@pytest.fixture
async def service(node: LiveNode, tmp_path: Path) -> AsyncIterator[BittensorService]:
    async with weighing_service(node, tmp_path) as running:
        yield running


class Watched:
    def __init__(self, service: BittensorService) -> None:
        ledger = service.ledger
        self._watch = ValidatorWatch(
            chain=ledger.chain_work.chain,
            wallets=ledger.wallets,
            database=ledger.database,
            metrics=Metrics("test"),
        )

    async def read(self) -> dict[str, float]:
        """The values of the only hotkey, in the only subnet."""
        found = {}
        for reading, labels, value in await self._watch.read():
            (family,) = reading.describe()
            assert labels in {(), (HOT.address, str(NETUID))}
            assert not callable(value)
            found[family.name.removeprefix("strongroom_bittensor_")] = value
        return found


def enrich(node: LiveNode) -> None:
    """The hotkey has stake of its own, a parent that lends to it and a child that it lends to."""

    def write(ctx: Context) -> None:
        def put(name: str, *keys: Any, value: Any) -> None:
            ctx.put(SUBTENSOR, name, *keys, value=value)

        put("StakeThreshold", value=5_000)
        put("TaoWeight", value=HALF // 2)
        for account, alpha, root in ((HOT.public_key, 1_000, 800), (PARENT, 6_000, 400)):
            put("TotalHotkeyAlpha", account, NETUID, value=alpha)
            put("TotalHotkeyAlpha", account, 0, value=root)
        put("ParentKeys", HOT.public_key, NETUID, value=[(HALF, PARENT)])
        put("ChildKeys", HOT.public_key, NETUID, value=[(HALF // 2, CHILD)])

    node.node.produce(write, empty=True)


def forget_uid(node: LiveNode) -> None:
    def write(ctx: Context) -> None:
        ctx.remove(SUBTENSOR, "Uids", NETUID, HOT.public_key)

    node.node.produce(write, empty=True)


async def test_a_validator_is_watched(node: LiveNode, service: BittensorService) -> None:
    watched = Watched(service)
    enrich(node)
    found = await watched.read()
    view = View(node.node.chain.storage)
    assert found["hotkeys_unwatched"] == 0
    assert (found["registered"], found["validator_permit"], found["sets_weights"]) == (1, 1, 0)
    assert found["stake_threshold_rao"] == 5_000
    assert found["stake_rao"] == stakes.weight_of(view, NETUID, HOT.public_key) > 3_000
    assert found["activity_cutoff_blocks"] == epochs.activity_cutoff(view, NETUID) > 0
    assert (found["weights_rate_limit_blocks"], found["tempo_blocks"]) == (100, 360)
    assert found["blocks_since_weights"] == node.node.chain.head.number
    assert found["unrevealed_commits"] == 0
    assert "commit_blocks_left" not in found

    node.change(WeightsSetRateLimit=0, ValidatorPermit=[False, True, True, True])
    assert (await watched.read())["validator_permit"] == 0


async def test_weights_that_were_asked_for_are_missed_when_the_uid_is_lost(
    node: LiveNode, service: BittensorService
) -> None:
    node.change(WeightsSetRateLimit=0)
    asked = set_weights(service, wait_for_inclusion=True)
    await pooled(node)
    node.produce()
    assert (await asked).json()["success"] is True
    forget_uid(node)
    found = await Watched(service).read()  # of a process that has just begun
    assert (found["registered"], found["sets_weights"], found["validator_permit"]) == (0, 1, 0)
    assert "blocks_since_weights" not in found


async def test_blocks_are_left_for_a_reveal_as_long_as_the_chain_takes_it(
    node: LiveNode, service: BittensorService
) -> None:
    node.change(Tempo=4, RevealPeriodEpochs=1, CommitRevealWeightsEnabled=True)
    view = View(node.node.chain.storage)
    now, digest = view.block, bytes(32)
    commit = (digest, epochs.current(view, NETUID), now, 0)
    if not view.stateful_epochs:
        commit = (digest, now, *schedule.reveal_window(NETUID, 4, now, 1))
    node.node.produce(
        lambda ctx: ctx.put(SUBTENSOR, "WeightCommits", NETUID, HOT.public_key, value=[commit]), empty=True
    )
    watched, seen = Watched(service), list[bool]()
    while not seen or not seen[-1]:
        found = await watched.read()
        assert found["unrevealed_commits"] == 1
        view = View(node.node.chain.storage)
        seen.append(epochs.current(view, NETUID) > epoch_of(view, NETUID, commit) + 1)
        assert (found["commit_blocks_left"] < 0) is seen[-1], (found, view.block, commit)
        node.produce()
    assert len(seen) > 4


async def test_nothing_is_known_while_the_chain_is_away(node: LiveNode, service: BittensorService) -> None:
    watched = Watched(service)
    await watched.read()
    await node.close()
    with pytest.raises(Unavailable):
        await watched.read()
