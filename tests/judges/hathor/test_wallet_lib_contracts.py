"""The official library calls contracts through our service: deposits, withdrawals, tokens, and calls that fail."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from strongroom_sandbox.hathor.contracts import BLUEPRINT
from support.hathor.js_wallet import NATIVE, PIN, JsClient, JsWallet, amount
from support.hathor.processes import NodeProgram, WalletProgram
from support.js import JsError

pytestmark = pytest.mark.anyio

SEND = "createAndSendNanoContractTransaction"


@pytest.fixture
async def owner(judge: JsClient, node: NodeProgram) -> JsWallet:
    """Has 1,000 in one output, and hears of its transactions."""
    wallet = await judge.started()
    await wallet.connected()
    await node.fund(await wallet.address(0), 1_000)
    await wallet.until_balance(1_000)
    return wallet


async def called(wallet: JsWallet, method: str, caller: str, contract: Mapping[str, object]) -> str:
    sent = await wallet.call(SEND, method, caller, contract, PIN)
    tx_id: str = sent["hash"]
    await wallet.until_seen(tx_id)
    return tx_id


async def vault(wallet: JsWallet, caller: str, value: int) -> str:
    """The id of a new contract that has been paid so much."""
    deposit = {"type": "deposit", "token": NATIVE, "amount": amount(value), "changeAddress": caller}
    made = {"blueprintId": BLUEPRINT, "args": [], "actions": [deposit]}
    return await called(wallet, "initialize", caller, made)


def withdrawal(contract_id: str, address: str, value: int) -> dict[str, object]:
    action = {"type": "withdrawal", "token": NATIVE, "amount": amount(value), "address": address}
    return {"ncId": contract_id, "args": [], "actions": [action]}


async def test_what_goes_into_a_contract_comes_out_again(owner: JsWallet, node: NodeProgram) -> None:
    caller, payee = await owner.address(0), await owner.address(2)
    contract_id = await vault(owner, caller, 100)
    assert await owner.balance() == (900, 0)
    told = await owner.event("new-tx", tx_id=contract_id)
    assert [output["value"] for output in told["outputs"]] == [900]
    await node.mine()
    await owner.event("update-tx", tx_id=contract_id)
    full = (await owner.call("getFullTxById", contract_id))["tx"]
    assert (full["nc_id"], full["nc_blueprint_id"], full["nc_address"]) == (contract_id, BLUEPRINT, caller)
    await called(owner, "noop", caller, withdrawal(contract_id, payee, 40))
    assert await owner.balance() == (940, 0)
    history = await owner.call("getTxHistory")
    assert sorted(entry["balance"] for entry in history) == [-100, 40, 1_000]


async def test_contracts_are_read_through_the_service(
    owner: JsWallet, node: NodeProgram, service: WalletProgram
) -> None:
    """By the proxies: the library goes to the node itself."""
    caller = await owner.address(0)
    contract_id = await vault(owner, caller, 100)
    taken = await called(owner, "noop", caller, withdrawal(contract_id, caller, 30))
    await node.mine()
    await owner.event("update-tx", tx_id=taken)
    bearer = {"Authorization": f"Bearer {await owner.property('authToken')}"}

    async def ask(what: str, **query: str | int | list[str]) -> tuple[int, dict[str, Any]]:
        path = f"/wallet/proxy/nano_contract/{what}"
        answer = await service.api.get(path, params=dict(query), headers=bearer)
        return answer.status_code, answer.json()

    _, state = await ask("state", id=contract_id, **{"balances[]": ["00", "__all__"], "fields[]": ["owner"]})
    assert state["balances"] == {NATIVE: {"value": "70", "can_mint": False, "can_melt": False}}
    assert (state["blueprint_id"], state["fields"]) == (BLUEPRINT, {"owner": {"errmsg": "field not found"}})
    _, history = await ask("history", id=contract_id, count=1)
    assert [entry["hash"] for entry in history["history"]] == [taken]
    _, older = await ask("history", id=contract_id, after=taken)
    assert [entry["nc_method"] for entry in older["history"]] == ["initialize"]
    _, blueprint = await ask("blueprint/info", blueprint_id=BLUEPRINT)
    assert (blueprint["name"], sorted(blueprint["public_methods"])) == ("Vault", ["initialize", "noop"])
    for what, name in (("state", "id"), ("history", "id"), ("blueprint/info", "blueprint_id")):
        status, body = await ask(what, **{name: "ab" * 32})
        assert (status, body["error"]) == (404, "fullnode-refused"), body


async def test_calls_in_a_row_count_on_before_any_is_confirmed(owner: JsWallet, node: NodeProgram) -> None:
    caller, other = await owner.address(0), await owner.address(3)
    contract_id = await vault(owner, caller, 100)
    nothing = {"ncId": contract_id, "args": [], "actions": []}
    calls = [await called(owner, "noop", caller, nothing) for _ in range(3)]
    calls.append(await owner.call_as(other, "noop", caller, nothing))
    await owner.until_seen(calls[-1])
    assert [await owner.call("getNanoHeaderSeqnum", address) for address in (caller, other)] == [5, 2]
    await node.mine()
    for tx_id in calls:
        await owner.event("update-tx", tx_id=tx_id)
        assert (await node.transaction(tx_id))["meta"]["nc_execution"] == "success"
    assert [await owner.call("getNanoHeaderSeqnum", address) for address in (caller, other)] == [5, 2]


async def test_a_call_that_fails_is_taken_back(owner: JsWallet, node: NodeProgram) -> None:
    """The vault has not what is asked of it: known only when a block confirms the call, and the wallet is told."""
    caller = await owner.address(0)
    contract_id = await vault(owner, caller, 100)
    await node.mine()
    await owner.event("update-tx", tx_id=contract_id)
    greedy = await owner.call(SEND, "noop", caller, withdrawal(contract_id, caller, 101), PIN)
    told = await owner.event("new-tx", tx_id=greedy["hash"])
    assert [output["value"] for output in told["outputs"]] == [101]
    await node.mine()
    told = await owner.event("update-tx", tx_id=greedy["hash"])
    assert told["voided"] is True
    assert await owner.balance() == (900, 0)
    with pytest.raises(JsError, match="TxNotFoundError"):
        await owner.call("getTxById", greedy["hash"])


async def test_a_token_is_made_by_a_call(owner: JsWallet) -> None:
    caller = await owner.address(0)
    contract_id = await vault(owner, caller, 100)
    token = {
        "name": "Of a call",
        "symbol": "CALL",
        "amount": amount(300),
        "mintAddress": caller,
        "changeAddress": caller,
        "contractPaysTokenDeposit": False,
        "createMint": True,
        "mintAuthorityAddress": caller,
        "createMelt": False,
    }
    nothing = {"ncId": contract_id, "args": [], "actions": []}
    method = "createAndSendNanoContractCreateTokenTransaction"
    deposit = {"type": "deposit", "token": NATIVE, "amount": amount(10), "changeAddress": caller}
    made = await owner.call(method, "noop", caller, nothing | {"actions": [deposit]}, token, PIN)
    await owner.until_balance(300, made["hash"])
    assert await owner.balance() == (900 - 10 - 3, 0)
    of_fees = await owner.call(method, "noop", caller, nothing, token | {"tokenVersion": 2}, PIN)
    await owner.until_balance(300, of_fees["hash"])
    assert await owner.balance() == (900 - 10 - 3 - 1, 0)


async def test_of_calls_that_race_each_number_is_executed_once(owner: JsWallet, node: NodeProgram) -> None:
    """Calls of one caller are built at once: of those with the same number the node executes the first."""
    caller = await owner.address(4)
    contract_id = await vault(owner, await owner.address(0), 100)
    nothing = {"ncId": contract_id, "args": [], "actions": []}
    results = await asyncio.gather(
        *(owner.call(SEND, "noop", caller, nothing, PIN) for _ in range(3)), return_exceptions=True
    )
    sent = {result["hash"] for result in results if not isinstance(result, BaseException)}
    for tx_id in sent:
        await owner.event("new-tx", tx_id=tx_id)
    await node.mine()
    told = [await owner.event("update-tx", tx_id=tx_id) for tx_id in sent]
    numbers = {(await node.transaction(tx_id))["tx"]["nc_seqnum"] for tx_id in sent}
    assert [each["voided"] for each in told].count(False) == len(numbers), results
    assert await owner.call("getNanoHeaderSeqnum", caller) == max(numbers) + 1


async def test_what_the_node_does_not_know_is_said_so(owner: JsWallet) -> None:
    caller = await owner.address(0)
    unknown = {"blueprintId": "ab" * 32, "args": [], "actions": []}
    with pytest.raises(JsError, match="NanoRequest404Error"):
        await called(owner, "initialize", caller, unknown)
    with pytest.raises(JsError, match="NanoContractTransactionError"):
        await called(owner, "noop", caller, {"ncId": "ab" * 32, "args": [], "actions": []})
    assert await owner.balance() == (1_000, 0)
