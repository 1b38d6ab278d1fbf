"""Proposals: outputs are held for one of them, and for no longer than it lives."""

import asyncio

import pytest

from strongroom.hathor.gateway.push import Presence
from strongroom.hathor.proposals.sweeper import LIFE_S, UNSEEN_S
from support.clock import ManualClock
from support.hathor.api import WALLET_ID
from support.hathor.proposals import FUNDS, KEYS, NOW_S, Client, hexed, payment
from support.hathor.signing import draft, sign
from support.sql import execute

pytestmark = pytest.mark.anyio


async def test_a_payment_goes_out_and_its_outputs_stay_taken(client: Client) -> None:
    transaction = payment(1)
    before = await client.ask("GET", "/wallet/balances")
    identifier = await client.propose(transaction)
    assert await client.offered() == {0, 2, 6}
    assert await client.ask("GET", "/wallet/balances") == before
    answer = await client.send(identifier, transaction)
    assert answer == (200, {"success": True, "txProposalId": identifier, **hexed(transaction)})
    assert client.node.pushed == [transaction.encode()]
    assert await client.offered() == {0, 2, 6}
    assert len(client.node.pushed) == 1
    # The chain shows it: nothing of ours remains.
    seen = "UPDATE tx_output SET spent_by = {} WHERE tx_id = {} AND `index` = 1"
    await client.api.database.write(lambda c: execute(c, seen, transaction.id, FUNDS))
    await client.sweep().sweep()
    assert await client.rows_beside() == 0


async def test_of_many_proposals_for_the_same_outputs_one_wins(client: Client) -> None:
    transactions = [payment(*spent, value=value) for value in range(1, 51) for spent in ((0, 1), (1, 0))]
    answers = await asyncio.gather(
        *(client.ask("POST", "/tx/proposal", hexed(transaction)) for transaction in transactions)
    )
    assert sorted(status for status, _ in answers) == [201] + [400] * 99
    assert {body.get("error") for _, body in answers} == {None, "inputs-already-used"}
    assert await client.rows_beside() == 3
    assert len(await client.api.database.read(lambda c: execute(c, "SELECT id FROM tx_proposal"))) == 1


async def test_what_cannot_be_held_is_refused_by_name(client: Client) -> None:
    await client.announce(max_number_outputs=0)
    unknown = sign(draft([("ab" * 32, 3)], [], timestamp_s=NOW_S), {("ab" * 32, 3): 0})
    missing = [{"txId": "ab" * 32, "index": 3}]
    assert await client.refused(unknown) == {
        "success": False,
        "error": "inputs-not-found",
        "missing": missing,
    }
    keys = {(FUNDS, 4): 0, (FUNDS, 5): 1}
    foreign = sign(draft([(FUNDS, 4)], [], timestamp_s=NOW_S), keys)
    denied = [{"txId": FUNDS, "index": 4}]
    assert await client.refused(foreign) == {
        "success": False,
        "error": "inputs-not-in-wallet",
        "missing": denied,
    }
    spent = sign(draft([(FUNDS, 5)], [], timestamp_s=NOW_S), keys)
    assert (await client.refused(spent))["error"] == "inputs-not-found"
    twice = sign(draft([(FUNDS, 0), (FUNDS, 0)], [], timestamp_s=NOW_S), KEYS)
    assert (await client.refused(twice))["details"][0]["message"] == '"txHex" spends an output twice'
    assert await client.refused(payment(0)) == {"success": False, "error": "too-many-outputs", "outputs": 1}
    assert await client.rows_beside() == 0


async def test_another_wallets_proposal_is_out_of_reach(client: Client) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    sql = "UPDATE tx_proposal SET wallet_id = 'other' WHERE id = {}"
    await client.api.database.write(lambda c: execute(c, sql, identifier))
    forbidden = (403, {"success": False, "error": "forbidden"})
    assert await client.send(identifier, transaction) == forbidden
    assert await client.ask("DELETE", f"/tx/proposal/{identifier}") == forbidden
    for body in (hexed(transaction), {"txHex": "00"}):  # of a wallet that has no row
        answer = await client.api.client.put(
            f"/tx/proposal/{identifier}", json=body, headers=client.api.stranger()
        )
        assert (answer.status_code, answer.text) == (403, '{"success":false,"error":"forbidden"}')
    reader = client.api.read_only(WALLET_ID)
    for method in ("PUT", "DELETE"):
        answer = await client.api.client.request(method, f"/tx/proposal/{identifier}", headers=reader)
        assert answer.status_code == 403


async def test_only_what_was_proposed_is_sent_and_only_well_signed(client: Client) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    no_match = (400, {"success": False, "error": "tx-proposal-no-match"})
    for other in (payment(0), payment(1, value=499), payment(1, 0)):
        assert await client.send(identifier, other) == no_match
    stranger = sign(transaction, {(FUNDS, 1): 5})
    status, body = await client.send(identifier, stranger)
    assert (status, body["error"], body["input"]) == (400, "invalid-tx-signature", 0)
    light = payment(1, weight=0.5)
    status, body = await client.send(identifier, light)
    assert (status, body["error"]) == (400, "invalid-tx-weight")
    lazy = draft([(FUNDS, 1)], transaction.outputs, timestamp_s=NOW_S, weight=60)
    unmined = lazy.with_input_data((transaction.inputs[0].data,))
    status, body = await client.send(identifier, unmined)
    assert (status, body["error"]) == (400, "invalid-tx-weight")
    assert client.node.pushed == []
    heavier = payment(1, weight=9.0)  # other work and time than proposed: signatures do not cover them
    assert (await client.send(identifier, heavier))[0] == 200


async def test_given_up_or_too_old_it_holds_nothing(client: Client, clock: ManualClock) -> None:
    identifier = await client.propose(payment(1))
    answer = await client.ask("DELETE", f"/tx/proposal/{identifier}")
    assert answer == (200, {"success": True, "txProposalId": identifier})
    assert await client.offered() == {0, 1, 2, 6}
    closed = (400, {"success": False, "error": "tx-proposal-not-open"})
    assert await client.ask("DELETE", f"/tx/proposal/{identifier}") == closed
    old = await client.propose(payment(1))
    clock.advance(LIFE_S - 1)
    await client.sweep().sweep()
    assert await client.status(old) == "open"
    clock.advance(1)
    await client.sweep().sweep()
    assert await client.status(old) == "cancelled"
    assert await client.offered() == {0, 1, 2, 6}
    assert await client.rows_beside() == 0
    late = await client.send(old, payment(1))
    assert late == (400, {"success": False, "error": "tx-proposal-not-open", "status": "cancelled"})


async def test_what_the_node_refuses_may_be_sent_again(client: Client) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    client.node.answers = [lambda _raw: "The transaction is from the future"]
    status, body = await client.send(identifier, transaction)
    assert (status, body["error"]) == (400, "tx-proposal-send-error")
    assert body["message"] == "The transaction is from the future"
    assert await client.status(identifier) == "send_error"
    assert 1 in await client.offered()
    rival = await client.propose(payment(1))
    assert (await client.send(identifier, transaction))[1]["error"] == "inputs-already-used"
    await client.ask("DELETE", f"/tx/proposal/{rival}")
    assert (await client.send(identifier, transaction))[0] == 200
    assert 1 not in await client.offered()


async def test_what_is_refused_here_holds_nothing_either(client: Client) -> None:
    """The official wallet never gives a proposal up: it announces the next one, and finds its outputs free."""
    transaction = payment(1)
    identifier = await client.propose(transaction)
    status, body = await client.send(identifier, payment(1, weight=0.5))
    assert (status, body["error"]) == (400, "invalid-tx-weight")
    assert await client.status(identifier) == "send_error"
    assert 1 in await client.offered()
    assert (await client.send(identifier, transaction))[0] == 200
    assert 1 not in await client.offered()
    assert await client.status(identifier) == "sent"


async def test_a_sent_transaction_that_the_network_lost_frees_its_outputs(
    client: Client, clock: ManualClock
) -> None:
    transaction = payment(1)
    identifier = await client.propose(transaction)
    assert (await client.send(identifier, transaction))[0] == 200
    clock.advance(UNSEEN_S)
    await client.sweep().sweep()
    assert 1 not in await client.offered()  # the node has it: the sync is behind
    client.node.has[transaction.id] = Presence.VOIDED
    await client.sweep().sweep()
    assert 1 in await client.offered()
    assert await client.rows_beside() == 0
