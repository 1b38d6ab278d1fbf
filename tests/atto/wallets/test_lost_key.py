"""After the key-encryption key was lost, an Atto service signs again, and its audit trail says what nobody can verify any more."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from atto.conftest import Start
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, database_variables, entry
from support.databases import execute_elsewhere
from support.keys import KEY, OTHER_KEY
from support.lost_key import Operator

pytestmark = pytest.mark.anyio

Sql = Callable[[str], list[list[str]]]
VARIABLE = "CHA_CHA20_KEY_ENCRYPTION_KEY"
RESTARTED = "atto: trail_restarted: operator began the trail anew at "


@pytest.fixture
def sql(database_url: URL) -> Sql:
    return lambda statements: execute_elsewhere(database_url, statements)


@pytest.fixture
def operator(database_url: URL, tmp_path: Path) -> Operator:
    here = {"NETWORK": "local", "NODE_BASE_URL": "http://127.0.0.1:9"}
    return Operator(variables=database_variables(database_url, tmp_path) | here)


async def test_it_signs_again_and_the_trail_tells_of_it(
    start: Start, network: AttoNetwork, operator: Operator, sql: Sql, tmp_path: Path
) -> None:
    async with start() as service:
        wallet = await service.create_wallet()
        address = await service.open_account(network, ATTO, wallet)
        entry(await service.send(address, NOBODY, 1))
        await service.ledger.checkpoints.make()
    (tmp_path / "atto.kek").unlink()
    await operator.begin_anew("atto", "abandon")
    async with start() as service:
        await service.unlock(wallet)
        assert entry(await service.send(address, NOBODY, 1))["balance"] == ATTO - 2
        await service.ledger.checkpoints.make()
        report = await service.ledger.inspection().run()
        assert (report.findings, [one.code for one in report.notices]) == ([], ["trail_restarted"])
    told = await operator.verify("atto")
    assert (told.status, RESTARTED in told.out) == (0, True), told
    assert RESTARTED.removeprefix("atto: ") in (await operator.run("doctor")).out
    sql(
        "UPDATE strongroom_audit SET principal = 'x' WHERE sequence = (SELECT number FROM"
        " (SELECT MAX(sequence) AS number FROM strongroom_audit) AS last)"
    )
    told = await operator.verify("atto")
    assert (told.status, RESTARTED in told.out, "atto: chain_broken:" in told.out) == (1, True, True), told


async def test_a_key_that_was_replaced_by_hand_is_accepted(
    start: Start, network: AttoNetwork, operator: Operator
) -> None:
    async with start(**{VARIABLE: KEY}) as service:
        wallet = await service.create_wallet()
        address = await service.open_account(network, ATTO, wallet)
        await service.lock(wallet)
    here = Operator(variables={**operator.variables, VARIABLE: OTHER_KEY})
    await here.begin_anew("atto", "accept")
    async with start(**{VARIABLE: OTHER_KEY}) as service:
        await service.unlock(wallet)
        entry(await service.send(address, NOBODY, 1))
    told = await here.verify("atto")
    assert (told.status, RESTARTED in told.out) == (0, True), told


async def test_while_a_key_is_there_the_trail_does_not_begin_anew(
    start: Start, operator: Operator, sql: Sql
) -> None:
    """Whoever spoils the heads gets nobody to call his rows good."""
    async with start() as service:
        await service.create_wallet()
    sql("UPDATE strongroom_audit_lane SET tag = hash")
    sql("UPDATE wallet SET encrypted_encryption_key = NULL")
    done = await operator.run("keys", "accept", "atto", "--all")
    assert (done.status, "The head of lane" in done.err) == (1, True), done
    assert sql("SELECT COUNT(*) FROM strongroom_audit WHERE action = 'audit.restart'") == [["0"]]
