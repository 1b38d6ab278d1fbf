"""Rules and freezes of the Bittensor ledger, as a validator meets them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from strongroom.bittensor.authorization.limits import SUBMIT, TokenLimits, encode_limits
from strongroom.bittensor.authorization.policy import KeyPolicy, KeyUse
from strongroom.bittensor.protocol.call_reach import reach_of
from strongroom.bittensor.protocol.calls import Call
from strongroom.core.errors import Forbidden
from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import OPERATOR, Principal
from support.bittensor.live_node import NETUID, live_node, new_node
from support.bittensor.weighing import OTHERS, Hurried, body, reaches, set_weights
from support.bittensor_service import (
    HOT,
    WALLET,
    BittensorService,
    import_validator,
    running_bittensor,
)

pytestmark = pytest.mark.anyio
LIMITS = encode_limits(TokenLimits(calls=("SubtensorModule.move_stake",)))


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[BittensorService]:
    async with live_node(new_node(424, [HOT.public_key, *OTHERS])) as node:
        variables = {"STRONGROOM_DATA": str(tmp_path), "chain_endpoint": node.url}
        async with running_bittensor(variables, clock=Hurried()) as running:
            await import_validator(running)
            yield running


async def test_a_rule_denies_weights_of_a_subnet(service: BittensorService) -> None:
    rule = {"effect": "deny", "when": {"wallets": [WALLET], "facts": {"netuid": [NETUID]}}}
    await service.ledger.rules.add(OPERATOR, "not here", json.dumps(rule))
    refused = await set_weights(service)
    assert refused.status_code == 403
    assert refused.json() == {"detail": "The rule 'not here' denies it", "code": "rule_denied"}
    await service.ledger.rules.remove(OPERATOR, "not here")
    assert (await set_weights(service)).status_code == 200


async def test_weights_of_the_background_come_from_where_they_were_asked(service: BittensorService) -> None:
    rule = {"effect": "deny", "unless": {"networks": ["127.0.0.0/8"]}}
    await service.ledger.rules.add(OPERATOR, "own network", json.dumps(rule))
    accepted = await service.client.post("/wallet/set_weights", json=body() | {"async": True})
    await reaches(service, accepted.json()["job_id"], "pooled")
    await service.ledger.rules.remove(OPERATOR, "own network")


async def test_every_subnet_of_a_call_is_looked_at(service: BittensorService) -> None:
    rule = {"effect": "deny", "when": {"facts": {"netuid": [NETUID + 1]}}}
    await service.ledger.rules.add(OPERATOR, "not there", json.dumps(rule))
    call = Call(
        pallet="SubtensorModule",
        function="move_stake",
        arguments={"origin_netuid": NETUID, "destination_netuid": NETUID + 1},
    )
    use = KeyUse(
        principal=Principal(name="token:a", scopes=frozenset({SUBMIT}), limits=LIMITS),
        scope=SUBMIT,
        account=HOT.address,
        kind=call.name,
        payload_hash=bytes(32),
        wallet=WALLET,
        hotkey=None,
        netuids=reach_of(call).netuids,
        call=call.name,
    )
    policy = KeyPolicy(service.ledger.guard)
    with pytest.raises(Forbidden, match="not there"):
        await service.ledger.database.write(lambda connection: policy.authorize(connection, use))


async def test_a_frozen_wallet_sets_no_weights_and_signs_no_message(service: BittensorService) -> None:
    await service.ledger.rules.freeze(OPERATOR, FreezeScope.WALLET, WALLET, "a lost laptop")
    refused = await set_weights(service)
    assert (refused.status_code, refused.json()["code"]) == (403, "frozen")
    signed = await service.sign("1763729464123")
    assert signed.status_code == 403
    told = "Nothing is signed: the wallet validator is frozen (a lost laptop)"
    assert signed.json() == {"detail": told, "code": "frozen"}
    assert (await service.info()).status_code == 200
    await service.ledger.rules.unfreeze(OPERATOR, FreezeScope.WALLET, WALLET)
    assert (await set_weights(service)).status_code == 200
