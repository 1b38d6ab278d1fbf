"""A real node says nothing for 40 s about bytes that it saw within the last minute."""

import pytest

from atto.conftest import Start
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, entry

pytestmark = pytest.mark.anyio


async def test_a_send_whose_retry_meets_silence_is_answered_once_it_is_confirmed(
    start: Start, network: AttoNetwork
) -> None:
    # The request's patience is far below the node's 40 s of silence: only who looks for the block sees it in time.
    async with start(ATTO_REQUEST_TIMEOUT_S="15") as service:
        address = await service.open_account(network)
        faults = network.faults
        faults.confirmation_delay_ms = 1500
        faults.election_expired, faults.then_confirm, faults.silent_duplicates = 1, True, True
        answer = entry(await service.send(address, NOBODY, ATTO))
        state = network.state(address)
        assert state is not None
        assert (answer["hash"], answer["height"]) == (state.frontier.hex().upper(), 2)
        assert faults.election_expired == 0
