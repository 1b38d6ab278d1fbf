"""The way out after a reset, as an operator goes it: with the commands, beside the running programs."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.atto_processes import NetworkProgram, ServiceProgram
from support.atto_service import ATTO, NOBODY, until
from support.keys import KEY
from support.processes import strongroom

pytestmark = pytest.mark.anyio

END_S = 40.0
JOURNAL = "sandbox-atto.jsonl"


async def details(service: ServiceProgram, address: str) -> dict[str, Any] | None:
    response = await service.api.get(f"/wallets/accounts/{address}/details")
    return None if response.status_code == httpx2.codes.NOT_FOUND else response.json()


async def send(service: ServiceProgram, address: str) -> httpx2.Response:
    path = f"/wallets/accounts/{address}/transactions/SEND"
    return await service.api.post(path, json={"receiverAddress": NOBODY, "amount": ATTO})


def run(variables: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Exit status and output of `strongroom atto reconcile`."""
    with strongroom("atto", "reconcile", *arguments, environment=variables) as process:
        status = process.wait_end(END_S)
        assert "Traceback" not in process.logs(), process.logs()
        return status, "\n".join([*process.stdout, *process.stderr])


async def test_a_reset_network_is_put_right_by_name(network: NetworkProgram, tmp_path: Path) -> None:
    folder = tmp_path / "service"
    folder.mkdir()
    variables = network.variables | {"STRONGROOM_DATA": str(folder), "COLUMNS": "400"}
    operator = variables | {"CHA_CHA20_KEY_ENCRYPTION_KEY": KEY}
    async with ServiceProgram(variables | {"ATTO_REQUEST_TIMEOUT_S": "1"}) as service:
        await service.call("POST", "/wallets/savings")
        address = (await service.call("POST", "/wallets/savings/accounts"))["address"]
        await network.fund(address, 50 * ATTO)
        await until(lambda: details(service, address), lambda found: found is not None)
        assert run(operator) == (0, "Every account stands as at the node, and no block is open.")
        network.kill()
        (tmp_path / JOURNAL).unlink()
        await network.start()
        assert (await send(service, address)).status_code == 504
        held = await send(service, address)
        assert (held.status_code, held.json()["code"]) == (503, "account_held")
        status, shown = run(operator, "--json")
        (found,) = json.loads(shown)
        block = found["openBlock"]["hash"]
        assert (status, found["address"], found["node"]) == (0, address, None)
        assert block in held.json()["message"]
        status, shown = run(operator)
        assert (status, block in shown, "ends before" in shown) == (0, True, True)
        status, shown = run(operator, "--abandon", block)
        assert (status, "needs --node" in shown) == (1, True)
        status, shown = run(operator, "--offer", block)
        assert (status, "cannot take the block" in shown) == (1, True)
        status, shown = run(operator, "--abandon", block, "--node", network.node_url)
        assert status == 0, shown
        assert f"{address} stands at height 0" in shown
        assert block in shown
        assert run(operator) == (0, "Every account stands as at the node, and no block is open.")
        await service.terminate()
        await service.start()
        await network.fund(address, 20 * ATTO)
        await until(
            lambda: details(service, address), lambda found: bool(found and found["balance"] == 20 * ATTO)
        )
        paid = await send(service, address)
        assert (paid.status_code, paid.json()["height"]) == (200, 2)
        page = await service.call("GET", f"/wallets/accounts/{address}/entries")
        assert [one["blockType"] for one in page["entries"]] == ["SEND", "OPEN"]
