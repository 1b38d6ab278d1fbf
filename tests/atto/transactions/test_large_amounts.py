"""Amounts beyond what a float or a signed integer holds. Half of the supply moves, so the network is the test's own."""

from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from support.atto_network import running_network
from support.atto_service import NOBODY, database_variables, entry, running_service

pytestmark = pytest.mark.anyio
HALF = 2**63


async def test_largest_amounts_are_exact(database_url: URL, tmp_path: Path) -> None:
    variables = database_variables(database_url, tmp_path)
    async with running_network() as network, running_service(network, variables) as service:
        wallet = await service.create_wallet()
        rich = await service.open_account(network, HALF + 3, wallet)
        assert (await service.get(f"/wallets/{wallet.name}/totals"))["balance"] == HALF + 3
        assert (await service.send(rich, NOBODY, HALF + 4)).status_code == 400
        sent = entry(await service.send(rich, NOBODY, str(HALF + 1)))
        assert (sent["previousBalance"], sent["balance"]) == (HALF + 3, 2)
        assert network.receivables(NOBODY) == {bytes.fromhex(sent["hash"]): HALF + 1}
