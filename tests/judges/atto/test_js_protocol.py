"""The official client reads, checks and derives the same as `strongroom.atto.protocol`."""

from dataclasses import replace

import pytest

from strongroom.atto.protocol import (
    MAX_KEY_INDEX,
    MAX_SUPPLY_RAW,
    AccountKeys,
    Address,
    Mnemonic,
    Network,
    SendBlock,
    encode_transaction,
    public_key_of,
)
from strongroom_sandbox.atto.chain.genesis import genesis_transaction
from support.atto_account import account, one_of_each
from support.js_atto import JsAtto, valid

pytestmark = pytest.mark.anyio
NEXT_DECADE_MS = 1_893_456_000_000  # 2030-01-01
PHRASES = (
    (
        "edge defense waste choose enrich upon flee junk siren film clown finish "
        "luggage leader kid quick brick print evidence swap drill paddle truly occur"
    ),
    Mnemonic.from_entropy32(bytes(range(32))).phrase,
)


@pytest.mark.parametrize("network", [Network.LOCAL, Network.DEV])
async def test_what_is_built_here_is_valid_there(js_atto: JsAtto, network: Network) -> None:
    transactions = [
        *one_of_each(network, 1),
        *one_of_each(network, MAX_SUPPLY_RAW // 2),
        genesis_transaction(),
    ]
    assert await js_atto.validate(transactions) == [valid(transaction) for transaction in transactions]


async def test_what_is_wrong_here_is_wrong_there(js_atto: JsAtto) -> None:
    alice, sending = account(1), one_of_each(Network.LOCAL, 1)[2]
    block = sending.block
    assert isinstance(block, SendBlock)
    verdicts = await js_atto.validate(
        [
            replace(sending, signature=bytes(64)),
            replace(sending, work=bytes(8)),
            alice.sign(replace(block, version=1)),
            alice.sign(replace(block, timestamp=NEXT_DECADE_MS)),
            alice.sign(replace(block, height=1)),
            encode_transaction(sending).replace(b'"amount":', b'"amount":-'),
        ]
    )
    errors = [verdict.error or "valid" for verdict in verdicts]
    assert [error.split(":")[0] for error in errors] == [
        "Signature is invalid",
        "Work is invalid",
        "Invalid version",
        "Timestamp too far in the future",
        "Height must be greater than 1",
        "unreadable",
    ]


@pytest.mark.parametrize("phrase", PHRASES)
async def test_mnemonic_has_the_same_accounts_in_both(js_atto: JsAtto, phrase: str) -> None:
    mnemonic = Mnemonic.parse(phrase)
    indexes = [0, 1, 2, 255, 65_536, MAX_KEY_INDEX]
    keys = AccountKeys(mnemonic.seed())
    ours = [Address(public_key=public_key_of(keys.private_key(index))) for index in indexes]
    assert await js_atto.addresses(mnemonic, indexes) == ours
