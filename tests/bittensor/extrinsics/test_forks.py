"""A fork between two looks at the chain moves an extrinsic from one block to another."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.store import list_intents
from support.intents.bittensor_model import BittensorModel
from support.intents.world import World

FORK = 0


@pytest.fixture(scope="module")
def model() -> BittensorModel:
    """Made outside of any event loop, as its template needs one of its own."""
    make = cast(
        "Callable[[], BittensorModel]", BittensorModel
    )  # it asks by requests and needs no drafts of its own
    return make()


async def test_the_receipt_is_of_the_block_that_holds_it_in_the_end(
    model: BittensorModel, tmp_path: Path
) -> None:
    world = World(model, await model.new_database(tmp_path))
    await world.limit_all()
    try:
        await world.pay(0, model.accounts[0], 1, is_refused=False)
        await world.advance(5)
        (in_block,) = await world.replicas[0].database.read(list_intents)
        first = model.chain.included()[in_block.id][0]
        await world.disturb(FORK)
        await world.advance(40)
        (final,) = await world.replicas[0].database.read(list_intents)
        assert (in_block.stage, final.outcome) == ("in_block", Outcome.ACCEPTED)
        assert model.chain.included()[final.id][0] != first
        await world.assert_books()
    finally:
        await world.end()
