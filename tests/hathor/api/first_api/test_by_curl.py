"""Each curl line of the original's description of its first API, against a running service and node.

The lines stand as they were published, but for the port. Where they name a payment, our wallet's names are put in:
nobody has the keys of theirs.
"""

import asyncio
import base64
import json
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from strongroom.hathor.protocol.addresses import PRIVATENET
from strongroom.hathor.protocol.keys import first_address
from support.hathor.processes import AUTH_SECRET, NodeProgram, WalletProgram
from support.hathor.signing import completed
from support.hathor.wallets import WALLET, XPUB
from support.processes import strongroom
from support.waiting import until_true

pytestmark = [pytest.mark.anyio]

THEIRS = "23b44673413f093180ed37ce34b6577d7dedbdec9c1d909fe42be1b0bc341ec9"
THEIR_XPUB = "xpub6EcBoi2vDFcCW5sPAiQpXDYYtXd1mKhUJD64tUi8CPRG1VQFDkAbL8G5gqTmSZD6oq4Yhr5PZ8pKf3Xmb3W3pGcgqzUdFNaCRKL7TZa3res"
LOAD = """curl --header "Content-Type: application/json" --request POST --data '{"xpubkey":"$xpub"}'
 http://localhost:3000/wallet/""".replace("$xpub", THEIR_XPUB)
STATUS = f"curl --request GET http://localhost:3000/wallet/?id={THEIRS}"
BALANCES = f"curl --request GET http://localhost:3000/balances/?id={THEIRS}"
ADDRESSES = f"curl --request GET http://localhost:3000/addresses/?id={THEIRS}"
HISTORY = f"curl --request GET 'http://localhost:3000/txhistory/?id={THEIRS}&count=5'"
PROPOSE = """curl --header "Content-Type: application/json" --request POST --data '{
 "id": "23b44673413f093180ed37ce34b6577d7dedbdec9c1d909fe42be1b0bc341ec9",
 "outputs": [{ "address": "H8F5neU87G8gs9XNbNY1XxN9DkAKQKhMoj", "value": 10, "token": "00", "timelock": null}] }'
 http://localhost:3000/txproposals/"""
SEND = """curl --header "Content-Type: application/json" --request PUT
 --data '{ "timestamp": 1599051796,
 "parents": ["0002ad8d1519daaddc8e1a37b14aac0b045129c01832281fb1c02d873c7abbf9",
 "0002d4d2a15def7604688e1878ab681142a7b155cbe52a6b4e031250ae96db0a"], "weight": 1, "nonce": 700,
 "inputsSignatures": ["aaaa"] }' http://localhost:3000/txproposals/{txProposalId}/"""
THEIR_PAYEE = "H8F5neU87G8gs9XNbNY1XxN9DkAKQKhMoj"


class Shell:
    """Runs curl lines against the service."""

    def __init__(self, service: WalletProgram) -> None:
        self._service = service

    async def run(self, line: str, **replacements: str) -> dict[str, Any]:
        for name, value in replacements.items():
            line = line.replace(
                {"xpub": THEIR_XPUB, "wallet": THEIRS, "payee": THEIR_PAYEE}.get(name, name), value
            )
        line = line.replace("http://localhost:3000", self._service.url)
        process = await asyncio.create_subprocess_exec(
            *shlex.split(line), "--silent", stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate()
        assert process.returncode == 0
        document: dict[str, Any] = json.loads(printed)
        return document


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeProgram]:
    async with NodeProgram(tmp_path_factory.mktemp("node")) as program:
        yield program


@pytest.fixture(scope="module")
async def shell(node: NodeProgram, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shell]:
    folder: Path = tmp_path_factory.mktemp("service")
    variables = {"STRONGROOM_DATA": str(folder), "HATHOR_LEGACY_API": "true"}
    async with WalletProgram(node, variables) as program:
        yield Shell(program)


async def test_the_published_wallet(shell: Shell) -> None:
    loaded = await shell.run(LOAD)
    assert loaded["success"] is True
    assert (loaded["status"]["walletId"], loaded["status"]["status"]) == (THEIRS, "ready")
    assert await _is_ready(shell, STATUS)
    assert await shell.run(BALANCES) == {"success": True, "balances": []}
    addresses = (await shell.run(ADDRESSES))["addresses"]
    assert len(addresses) == 20
    first = first_address(THEIR_XPUB, PRIVATENET)
    assert addresses[0] == {"address": first, "index": 0, "transactions": 0}
    assert await shell.run(HISTORY) == {"success": True, "history": [], "skip": 0, "count": 5}
    assert (await shell.run(LOAD))["error"] == "wallet-already-loaded"


async def test_a_payment_from_the_proposal_to_the_node(shell: Shell, node: NodeProgram) -> None:
    await shell.run(LOAD, xpub=XPUB)
    await until_true(lambda: _is_ready(shell, STATUS, wallet=WALLET))
    payee = first_address(THEIR_XPUB, PRIVATENET)
    poor = await shell.run(PROPOSE, wallet=WALLET, payee=payee)
    insufficient = [{"tokenId": "00", "requested": 10, "available": 0}]
    assert poor == {"success": False, "error": "insufficient-funds", "insufficient": insufficient}
    funding = await node.fund(first_address(XPUB, PRIVATENET), 700)
    await until_true(lambda: _has(shell, 700))
    foreign = await shell.run(PROPOSE, wallet=WALLET)  # an address of mainnet
    assert foreign["error"] == "invalid-payload"

    proposal = await shell.run(PROPOSE, wallet=WALLET, payee=payee)
    assert proposal["success"] is True
    held = [{"txId": funding, "index": proposal["inputs"][0]["index"], "addressPath": "m/44'/280'/0'/0/0"}]
    assert proposal["inputs"] == held
    assert sorted(output["value"] for output in proposal["outputs"]) == [10, 690]
    identifier = proposal["txProposalId"]
    unsigned = await shell.run(SEND, **{"{txProposalId}": identifier})
    assert unsigned == {"success": False, "error": "invalid-tx-weight", "status": "open"}

    timestamp_s = (await node.transaction(funding))["tx"]["timestamp"] + 1
    transaction = completed(proposal, timestamp_s=timestamp_s, network=PRIVATENET)
    signature = base64.b64encode(transaction.inputs[0].data).decode()
    parts = {
        "1599051796": str(timestamp_s),
        '"weight": 1,': f'"weight": {transaction.weight},',
        '"nonce": 700': f'"nonce": {transaction.nonce}',
        "aaaa": signature,
        "{txProposalId}": identifier,
    }
    sent = await shell.run(SEND, **parts)
    assert sent == {"success": True, "txProposalId": identifier, "txHex": transaction.encode().hex()}
    assert (await node.transaction(transaction.id))["tx"]["raw"] == sent["txHex"]
    await until_true(lambda: _has(shell, 690))
    history = (await shell.run(HISTORY, wallet=WALLET))["history"]
    assert [(entry["txId"], entry["balance"]) for entry in history] == [(transaction.id, -10), (funding, 700)]


async def test_where_others_reach_it_the_operator_gives_tokens(node: NodeProgram, tmp_path: Path) -> None:
    variables = {
        "STRONGROOM_DATA": str(tmp_path),
        "HATHOR_LEGACY_API": "true",
        "STRONGROOM_HOST": "0.0.0.0",  # noqa: S104 - that is the point
        "STRONGROOM_ALLOW_UNAUTHENTICATED": "management,hathor-ws",
    }
    async with WalletProgram(node, variables) as program:
        shell = Shell(program)
        assert await shell.run(LOAD) == {"message": "Unauthorized"}
        create = ("token", "create", "old-program", "--ledger", "hathor", "--scope", "hathor:read")
        command = strongroom(*create, environment=variables | node.variables | {"AUTH_SECRET": AUTH_SECRET})
        assert await asyncio.to_thread(command.wait_end) == 0, command.logs()
        header = f'--header "Authorization: Bearer {command.stdout[0]}"'
        assert (await shell.run(f"{LOAD} {header}"))["success"] is True
        refused = await shell.run(f"{PROPOSE} {header}")
        assert refused == {"Message": "User is not authorized to access this resource"}


async def _is_ready(shell: Shell, line: str, **replacements: str) -> bool:
    return bool((await shell.run(line, **replacements))["status"]["status"] == "ready")


async def _has(shell: Shell, amount: int) -> bool:
    balances = (await shell.run(BALANCES, wallet=WALLET))["balances"]
    return bool(balances and balances[0]["balance"]["unlocked"] == amount)
