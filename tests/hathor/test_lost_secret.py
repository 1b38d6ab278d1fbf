"""After AUTH_SECRET was lost, an operator begins the audit trail anew, and only then."""

from pathlib import Path

import pytest

from support.lost_key import Operator

pytestmark = pytest.mark.anyio

ONE, TWO = "one-" * 8, "two-" * 8
RESTART = ("audit", "restart", "--ledger", "hathor", "--reason", "the disk is gone")


def operator(folder: Path, **secrets: str) -> Operator:
    node = {"NETWORK": "testnet", "DEFAULT_SERVER": "http://127.0.0.1:1/v1a/"}
    return Operator(variables={"STRONGROOM_DATA": str(folder), **node, **secrets})


async def test_it_begins_anew_where_the_secret_is_lost_and_nowhere_else(tmp_path: Path) -> None:
    before = operator(tmp_path, AUTH_SECRET=ONE)
    assert (await before.run("migrate", "hathor")).status == 0
    made = ("token", "create", "shop", "--scope", "hathor:*", "--ledger", "hathor")
    done = await before.run(*made)
    assert done.status == 0, done
    assert (await before.run("audit", "checkpoint", "--ledger", "hathor")).status == 0
    done = await before.run(*RESTART)
    assert (done.status, "it does not begin anew" in done.err) == (1, True), done
    lost = operator(tmp_path, AUTH_SECRET=TWO)
    assert (await lost.verify("hathor")).status == 1
    done = await lost.run("rows", "accept", "hathor", "--all")
    assert (done.status, "The head of lane" in done.err) == (1, True), done
    assert (await lost.run(*RESTART)).status == 0
    assert (await lost.run("rows", "accept", "hathor", "--all")).status == 0
    told = await lost.verify("hathor")
    assert (told.status, "hathor: trail_restarted: operator:" in told.out) == (
        0,
        True,
    ), told
    assert "the disk is gone" in told.out
    assert (await lost.run("audit", "checkpoint", "--ledger", "hathor")).status == 0
    assert (await lost.verify("hathor")).status == 0


async def test_a_ledger_with_a_key_names_the_command_for_it(tmp_path: Path) -> None:
    done = await operator(tmp_path).run("audit", "restart", "--ledger", "atto", "--reason", "x")
    assert done.status == 2, done
    assert "strongroom keys abandon atto --all" in done.err
