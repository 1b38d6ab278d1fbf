"""The official library takes amounts as strings everywhere, and by that reads exactly what a float would round."""

from pathlib import Path

import pytest

from strongroom.core.storage.database import sqlite_url
from support.databases import execute_elsewhere
from support.hathor.processes import NodeProgram, WalletProgram

pytestmark = pytest.mark.anyio

EXACT = 2**53 + 1


async def test_amounts_as_strings(node: NodeProgram, tmp_path: Path) -> None:
    variables = {"STRONGROOM_DATA": str(tmp_path), "HATHOR_AMOUNTS": "string"}
    async with WalletProgram(node, variables) as service, service.judge() as judge:
        wallet, payee = await judge.started(), await judge.started()
        await payee.connected()
        await node.fund(await wallet.address(0), 500)
        await wallet.until_balance(500)
        tx_id = await wallet.send(await payee.address(0), 20)
        told = await payee.event("new-tx", tx_id=tx_id)
        assert sorted(output["value"] for output in told["outputs"]) == [20, 480]
        assert (await wallet.balance(), await payee.balance()) == ((480, 0), (20, 0))
        history = await wallet.call("getTxHistory")
        assert [entry["balance"] for entry in history] == [-20, 500]
        (part,) = (await wallet.call("getTxById", tx_id))["txTokens"]
        assert part["balance"] == -20
        full = await wallet.call("getFullTxById", tx_id)
        assert sorted(output["value"] for output in full["tx"]["outputs"]) == [20, 480]

        balances = f"UPDATE wallet_balance SET unlocked_balance = '{EXACT}' WHERE unlocked_balance = '480'"  # noqa: S608 - a number
        outputs = f"UPDATE tx_output SET value = '{EXACT:020}' WHERE value = '{480:020}' AND spent_by IS NULL"  # noqa: S608 - numbers
        execute_elsewhere(sqlite_url(str(tmp_path / "hathor.sqlite3")), f"{balances};{outputs}")
        assert await wallet.balance() == (EXACT, 0)
        utxos = await wallet.call("getUtxos")
        assert utxos["total_amount_available"] == EXACT
