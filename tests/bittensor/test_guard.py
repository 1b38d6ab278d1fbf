"""Rules and freezes of the Bittensor ledger, as a validator meets them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from strongroom.bittensor.authorization.key_use import call_use
from strongroom.bittensor.authorization.limits import SUBMIT, TokenLimits, encode_limits
from strongroom.bittensor.keystore.names import HotkeyNames, Signer, hotkey
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.eras import Era
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.errors import Forbidden
from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import OPERATOR, Principal
from support.bittensor.live_node import NETUID, LiveNode
from support.bittensor.weighing import body, reaches, set_weights, weighing_service
from support.bittensor_service import (
    HOT,
    HOTKEY,
    WALLET,
    BittensorService,
)

pytestmark = pytest.mark.anyio
UNSTAKE = "SubtensorModule.unstake_all"
LIMITS = encode_limits(TokenLimits(calls=("SubtensorModule.move_stake",)))


@pytest.fixture
async def service(node: LiveNode, tmp_path: Path) -> AsyncIterator[BittensorService]:
    async with weighing_service(node, tmp_path) as running:
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
    principal = Principal(name="token:a", scopes=frozenset({SUBMIT}), limits=LIMITS)
    signer = Signer(wallet=WALLET, hotkey="default", coldkey=False)
    use = call_use(principal, SUBMIT, signer, call, names=HotkeyNames())
    guard = service.ledger.guard
    with pytest.raises(Forbidden, match="not there"):
        await service.ledger.database.write(lambda connection: guard.authorize(connection, use))


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


@pytest.mark.parametrize("is_sealed", [False, True])
async def test_weights_are_bounded_whether_they_are_sealed_or_not(
    node: LiveNode, service: BittensorService, is_sealed: bool
) -> None:
    node.change(CommitRevealWeightsEnabled=is_sealed)
    rule = {"effect": "deny", "when": {"facts": {"netuid": [NETUID]}, "above": {"largest_share": 500_000}}}
    await service.ledger.rules.add(OPERATOR, "half", json.dumps(rule))
    refused = await set_weights(service, weights=[100, 200, 301])
    assert refused.status_code == 403
    assert refused.json() == {"detail": "The rule 'half' denies it", "code": "rule_denied"}
    assert not node.node.pool.waiting
    assert (await set_weights(service, weights=[100, 200, 300])).status_code == 200
    (waiting,) = node.node.pool.waiting.values()
    assert ("timelocked" in waiting.extrinsic.call.function) is is_sealed


async def test_a_commit_that_a_client_made_passes_no_bound(node: LiveNode, service: BittensorService) -> None:
    node.change(CommitRevealWeightsEnabled=True)
    commit = {
        "wallet_name": WALLET,
        "hotkey_name": HOTKEY,
        "transaction_data": {"netuid": NETUID, "commit_hash": "0x" + "11" * 32},
    }
    rule = {"effect": "deny", "when": {"other_facts": {"uid": [0, 1, 2]}}}
    await service.ledger.rules.add(OPERATOR, "known", json.dumps(rule))
    refused = await service.client.post("/wallet/commit_weights", json=commit)
    assert (refused.status_code, refused.json()["code"]) == (403, "rule_denied")
    await service.ledger.rules.remove(OPERATOR, "known")
    assert (await service.client.post("/wallet/commit_weights", json=commit)).status_code == 200


async def test_a_rule_for_a_hotkey_binds_the_coldkey_s_calls_for_it(service: BittensorService) -> None:
    """Whatever hotkey the request itself names."""
    second = Keypair.from_uri("//Strongroom//second")
    await service.ledger.wallets.import_(
        OPERATOR, [NewKey(key=hotkey(WALLET, "second"), public_key=second.public_key, keypair=second)]
    )
    headers = await service.token(calls=(UNSTAKE,), coldkey=True)

    chain = service.ledger.chain_work.chain
    runtime, heads = await chain.runtime(), await chain.heads()

    async def unstake(of: Keypair) -> tuple[int, str | None]:
        call = Call(pallet="SubtensorModule", function="unstake_all", arguments={"hotkey": of.public_key})
        answer = await service.client.post(
            "/wallet/extrinsics/sign",
            json={
                "wallet_name": WALLET,
                "hotkey_name": HOTKEY,
                "signer": "coldkey",
                "call": "0x" + runtime.encode(call).hex(),
                "era": "0x" + Era.starting(heads.final.number, 16).encode().hex(),
                "nonce": 0,
                "tip": 0,
            },
            headers=headers,
        )
        return answer.status_code, answer.json().get("code")

    rule = {"effect": "deny", "when": {"facts": {"hotkey": ["second"], "key": ["coldkey"]}}}
    await service.ledger.rules.add(OPERATOR, "second stays", json.dumps(rule))
    assert await unstake(second) == (403, "rule_denied")
    assert await unstake(HOT) == (200, None)


async def test_a_wallet_is_known_from_the_vault_and_from_the_folder(service: BittensorService) -> None:
    ledger = service.ledger
    assert await ledger.has_wallet(WALLET)
    assert not await ledger.has_wallet(WALLET.upper())
    assert not await ledger.has_wallet("nobody")
    assert not await ledger.has_wallet("..")
