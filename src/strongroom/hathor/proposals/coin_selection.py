"""Makes a transaction for a wallet that only names its payments: the inputs, the change, the order of the outputs.

The first API works so. The wallet then signs, mines and sends the transaction that was made for it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, false, select

from strongroom.core.clock import Entropy
from strongroom.core.storage.statements import Statement, execute, paired, select_pairs
from strongroom.hathor import tables
from strongroom.hathor.proposals.store import propose
from strongroom.hathor.proposals.utxo_locks import LockedUtxo, Outpoint, ProposalRefused
from strongroom.hathor.protocol.addresses import Network, parse_address
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.protocol.transactions import HATHOR_TOKEN, Input, Output, Transaction
from strongroom.hathor.wallets.balances import balances_within
from strongroom.hathor.wallets.history import LAST, UNUSED
from strongroom.hathor.wallets.registry import Wallet
from strongroom.hathor.wallets.utxos import Filter, find_outputs

DIE_BYTES = 8
_output = tables.tx_output.c
VALUES = Statement(
    select(_output.tx_id, _output.index, _output.token_id, _output.value, _output.authorities).where(
        paired(_output.tx_id, _output.index), _output.voided == false(), _output.spent_by.is_(None)
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payee:
    address: str
    value: int
    token_id: str
    timelock_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    held: list[LockedUtxo]
    payees: list[Payee]
    """All outputs, the change among them, in the transaction's order."""
    token_ids: list[str]
    """The native token first where it is paid, then the tokens of the transaction in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafter:
    network: Network
    entropy: Entropy
    max_inputs: int
    max_outputs: int

    def draft(
        self,
        connection: Connection,
        wallet: Wallet,
        proposal_id: str,
        payees: Sequence[Payee],
        spent: Sequence[Outpoint],
        now_s: int,
    ) -> Draft:
        """Proposes the transaction. Where `spent` is empty, the drafter chooses the inputs.

        Raises:
            ProposalRefused: the wallet has too little, or the outputs that it names cannot be held.
        """
        wanted = _sums((payee.token_id, payee.value) for payee in payees)
        _check_funds(connection, wallet.id, wanted, now_s)
        if spent:
            inputs = _named(connection, spent)
        else:
            inputs = _largest(connection, wallet.id, wanted, self.max_inputs, now_s)
        if len(inputs) > self.max_inputs:
            raise ProposalRefused("too-many-inputs", inputs=len(inputs))
        all_payees = [*payees, *_change(connection, wallet, wanted, inputs)]
        if len(all_payees) > self.max_outputs:
            raise ProposalRefused("too-many-outputs", outputs=len(all_payees))
        # In a random order nobody can tell the change by its place.
        all_payees.sort(key=lambda _payee: self.entropy.token(DIE_BYTES))
        transaction = self._transaction(list(inputs), all_payees)
        held = propose(connection, proposal_id, wallet.id, transaction, transaction.encode(), now_s)
        native = [HATHOR_TOKEN] if any(payee.token_id == HATHOR_TOKEN for payee in all_payees) else []
        tokens = native + [token.hex() for token in transaction.token_ids]
        return Draft(held=held, payees=all_payees, token_ids=tokens)

    def _transaction(self, spent: Sequence[Outpoint], payees: Sequence[Payee]) -> Transaction:
        tokens = [
            token for token in dict.fromkeys(payee.token_id for payee in payees) if token != HATHOR_TOKEN
        ]
        places = {HATHOR_TOKEN: 0} | {token: place for place, token in enumerate(tokens, 1)}
        return Transaction(
            token_ids=tuple(bytes.fromhex(token) for token in tokens),
            inputs=tuple(Input(tx_id=bytes.fromhex(tx_id), index=index) for tx_id, index in spent),
            outputs=tuple(
                Output(
                    value=payee.value,
                    token_data=places[payee.token_id],
                    script=Payment(
                        address=parse_address(payee.address, self.network), timelock_s=payee.timelock_s
                    ).encode(),
                )
                for payee in payees
            ),
        )


def complete(
    proposed: Transaction,
    *,
    timestamp_s: int,
    parents: Sequence[bytes],
    weight: float,
    nonce: int,
    input_data: Sequence[bytes],
) -> Transaction:
    """Adds what the wallet sends back for its transaction: one script for each input, in their order."""
    signed = proposed.with_input_data(tuple(input_data))
    return replace(signed, timestamp_s=timestamp_s, parents=tuple(parents), weight=weight, nonce=nonce)


def _check_funds(connection: Connection, wallet_id: str, wanted: dict[str, int], now_s: int) -> None:
    # All tokens that fall short are named at once: a wallet need not try again for each.
    insufficient: list[dict[str, object]] = []
    for token_id, requested in wanted.items():
        balances = balances_within(connection, wallet_id, token_id, now_s)
        available = balances[0].unlocked if balances else 0
        if requested > available:
            insufficient.append({"tokenId": token_id, "requested": requested, "available": available})
    if insufficient:
        raise ProposalRefused("insufficient-funds", insufficient=insufficient)


def _named(connection: Connection, spent: Sequence[Outpoint]) -> dict[Outpoint, tuple[str, int]]:
    """Returns token and value of the outputs that the caller names; `propose` checks whose they are."""
    rows = select_pairs(connection, VALUES, dict.fromkeys(spent))
    found = {(row[0], row[1]): (row[2], int(row[3])) for row in rows if not row[4]}
    if missing := [outpoint for outpoint in spent if outpoint not in found]:
        named = [{"txId": tx_id, "index": index} for tx_id, index in missing]
        raise ProposalRefused("inputs-not-found", missing=named)
    return {outpoint: found[outpoint] for outpoint in dict.fromkeys(spent)}


def _largest(
    connection: Connection, wallet_id: str, wanted: dict[str, int], most: int, now_s: int
) -> dict[Outpoint, tuple[str, int]]:
    """Chooses the largest free outputs of each token, as few as reach its sum."""
    chosen: dict[Outpoint, tuple[str, int]] = {}
    for token_id, requested in wanted.items():
        # One more than may be spent: who needs it is told that there are too many inputs.
        wish = Filter(token_id=token_id, skip_locked=True, most=most + 1)
        total = 0
        for output in find_outputs(connection, wallet_id, wish, now_s):
            if total >= requested:
                break
            chosen[output.tx_id, output.position] = (token_id, output.value)
            total += output.value
    return chosen


def _change(
    connection: Connection,
    wallet: Wallet,
    wanted: dict[str, int],
    inputs: dict[Outpoint, tuple[str, int]],
) -> list[Payee]:
    """Pays what is left of the inputs back, each token to an unused address, in the order of addresses."""
    left = _sums(inputs.values())
    for token_id, requested in wanted.items():
        left[token_id] = left.get(token_id, 0) - requested
    if short := [token_id for token_id, rest in left.items() if rest < 0]:
        raise ProposalRefused("insufficient-inputs", insufficient=short)
    due = [(token_id, rest) for token_id, rest in left.items() if rest]
    if not due:
        return []
    # Where there are fewer unused addresses than tokens, some get the change of two.
    rows = execute(connection, UNUSED, wallet.id, wallet.last_used_index, len(due))
    # A wallet that another program stored may lack unused addresses; a used one of its own is better than no payment.
    addresses = [row[0] for row in rows or execute(connection, LAST, wallet.id)]
    return [
        Payee(address=addresses[place % len(addresses)], value=rest, token_id=token_id)
        for place, (token_id, rest) in enumerate(due)
    ]


def _sums(amounts: Iterable[tuple[str, int]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for token_id, value in amounts:
        totals[token_id] = totals.get(token_id, 0) + value
    return totals
