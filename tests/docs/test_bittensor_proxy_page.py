"""docs/bittensor-proxy.md, run as it stands on the sandbox chain, the coldkey's part by the official SDK; stake moves after each step."""

import asyncio
import itertools
import os
import re
import sys
from pathlib import Path

import pytest

from docs.test_docs import ROOT
from strongroom.bittensor.protocol.ss58 import encode_address
from strongroom.core.intents.store import list_intents
from strongroom_sandbox.bittensor.chain.keys import development_pair
from strongroom_sandbox.bittensor.execution import accounts
from support.bittensor.alice import service_of_alice
from support.bittensor.sandbox_node import SandboxNode, sandbox_node
from support.bittensor.sdks import Sdk, sdk
from support.bittensor_service import BittensorService

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAGE = (ROOT / "docs" / "bittensor-proxy.md").read_text()
PROGRAMS = dict(re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", PAGE, re.DOTALL))
COLDKEY, PROXY_URI = "//Alice", "//Strongroom//proxy"
PROXY = encode_address(development_pair(PROXY_URI)[0])
ADD_STAKE, TRANSFER = "SubtensorModule.add_stake", "Balances.transfer_keep_alive"
TAO = 10**9
MAKE_WALLET = """
from bittensor_wallet import Keypair, Wallet
pair = Keypair.create_from_uri("//Alice")
wallet = Wallet(name="validator", path="wallets")
wallet.set_coldkey(pair, encrypt=False)
wallet.set_coldkeypub(pair, encrypt=False)
"""


def blocks(heading: str) -> list[str]:
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    found = re.findall(r"^```(\w*)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [commands for language, commands in found if not language]


class Desk:
    """Where the page is followed: the service's machine, and the coldkey's with the SDK."""

    def __init__(self, service: BittensorService, sandbox: SandboxNode, installed: Sdk, folder: Path) -> None:
        self._service = service
        self._folder = folder
        self._installed = installed
        self._keys = itertools.count()
        self._variables = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "COLUMNS": "400",
            "network": "local",
            "chain_endpoint": sandbox.ws_url,
            "STRONGROOM_DATA": str(folder),
            "CHAIN": sandbox.ws_url,
            "WALLETS": str(folder / "wallets"),
            "BT_NO_PARSE_CLI_ARGS": "1",
            "COLDKEY": encode_address(development_pair(COLDKEY)[0]),
            "COLDKEY_PHRASE": COLDKEY,
            "PROXY": PROXY,
            "PROXY_PHRASE": PROXY_URI,
        }

    async def shell(self, commands: str) -> str:
        return await self._run("bash", "-ec", commands)

    async def sdk(self, program: str) -> str:
        return await self._run(str(self._installed.python), "-c", program)

    async def stakes(self, headers: dict[str, str]) -> str:
        """Who signed a stake that a client asks for now."""
        body = {
            "wallet_name": "validator",
            "transaction_data": {"netuid": 2, "amount_rao": TAO, "wait_for_inclusion": True},
        }
        asked = headers | {"Idempotency-Key": str(next(self._keys))}
        answer = await self._service.client.post("/wallet/add_stake", json=body, headers=asked)
        assert answer.json()["success"] is True, answer.text
        (last,) = await self._service.ledger.database.read(
            lambda connection: list_intents(connection, limit=1)
        )
        assert last.account == self._variables["COLDKEY"]
        return str(last.notes.get("delegate") or last.account)

    async def _run(self, *command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=self._variables,
            cwd=self._folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()


async def test_there_and_back_without_a_moment_in_which_nothing_works(tmp_path: Path) -> None:
    installed = await asyncio.to_thread(sdk, "10.5.0")
    give, doctor, take_away = blocks("From the coldkey to the proxy")
    (back,) = blocks("Back to the coldkey")
    async with sandbox_node(spec_version=424) as sandbox, service_of_alice(sandbox, tmp_path) as service:
        desk = Desk(service, sandbox, installed, tmp_path)
        alice = desk._variables["COLDKEY"]
        headers = await service.token(calls=(ADD_STAKE, TRANSFER), coldkey=True)
        await desk.sdk(MAKE_WALLET)
        await sandbox.command("/_faucet", address=PROXY, amount=TAO // 10)
        assert await desk.stakes(headers) == alice
        reserved = _reserved(sandbox)

        assert "True" in await desk.sdk(PROGRAMS["add_proxy.py"])
        assert _reserved(sandbox) == reserved + 93_000_000
        assert await desk.stakes(headers) == alice
        assert "Staking proxy of" in await desk.shell(give)
        assert await desk.stakes(headers) == PROXY
        told = next(line for line in (await desk.shell(doctor)).splitlines() if "bittensor proxies" in line)
        assert "the coldkeys of validator are here too" in told
        await desk.shell(take_away)
        assert await desk.stakes(headers) == PROXY
        listed = await desk.shell("strongroom bittensor wallets")
        assert "validator/coldkey" not in listed
        await _refuses_to_pay(service, headers)

        assert "validator/coldkey" in await desk.shell(back)
        assert await desk.stakes(headers) == alice
        assert "True" in await desk.sdk(PROGRAMS["remove_proxy.py"])
        assert _reserved(sandbox) == reserved


def _reserved(sandbox: SandboxNode) -> int:
    record = accounts.account(sandbox.node.chain.storage, development_pair(COLDKEY)[0])
    reserved: int = record["data"]["reserved"]
    return reserved


async def _refuses_to_pay(service: BittensorService, headers: dict[str, str]) -> None:
    body = {"wallet_name": "validator", "transaction_data": {"destination": PROXY, "amount_rao": 1}}
    answer = await service.client.post(
        "/wallet/transfer", json=body, headers=headers | {"Idempotency-Key": "pay"}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "proxy_type_forbids")
