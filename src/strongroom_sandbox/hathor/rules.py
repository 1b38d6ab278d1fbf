"""The rules that a transaction must satisfy before the node accepts it."""

from collections import defaultdict
from dataclasses import dataclass

from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.headers import FeeHeader, NanoHeader
from strongroom.hathor.protocol.scripts import Payment, parse_script
from strongroom.hathor.protocol.signatures import verify_input
from strongroom.hathor.protocol.transactions import MELT, MINT, TOKEN_CREATION, Transaction
from strongroom.hathor.protocol.work import WeightRule, minimum_weight, verify_work
from strongroom_sandbox.hathor.chain import Chain
from strongroom_sandbox.hathor.contracts import ACQUIRE, DEPOSIT, WITHDRAWAL, verify_call
from strongroom_sandbox.hathor.vertices import Outpoint, Output

DEPOSIT_PARTS = 100
"""A deposit token needs one unit of the native token for each hundred of its own."""
DEPOSIT_TOKEN = 1
FEE_TOKEN = 2
FEE_PER_OUTPUT = 1
"""What each output of value of a fee token costs; a melt that leaves none costs one."""
MAX_OUTPUTS = 255


class RejectedError(Exception):
    """The node does not take the transaction; the message is its answer."""


@dataclass(slots=True)
class _Sums:
    """Of one token. `inputs` and `outputs` count those of value."""

    spent: int = 0
    made: int = 0
    authorities: int = 0
    inputs: int = 0
    outputs: int = 0


def verify(transaction: Transaction, chain: Chain, weights: WeightRule) -> None:
    """Checks inputs, signatures, sums, parents, weight and work.

    Raises:
        RejectedError: it breaks a rule.
    """
    if transaction.id in chain.vertices:
        raise RejectedError("Transaction already exists")
    if len(transaction.outputs) > MAX_OUTPUTS or len(transaction.inputs) > MAX_OUTPUTS:
        raise RejectedError("Too many inputs or outputs")
    try:
        _verify_inputs(transaction, chain)
        _verify_parents(transaction, chain)
        for header in _calls(transaction):
            verify_call(transaction, header, chain.vertices.values(), chain.network)
        _verify_sums(transaction, chain)
        if transaction.weight < minimum_weight(transaction, weights) - 1e-6:
            raise RejectedError(f"Invalid transaction weight: {transaction.weight} is too small")
        verify_work(transaction)
    except ProtocolError as error:
        raise RejectedError(f"Invalid transaction: {error}") from error


def _verify_inputs(transaction: Transaction, chain: Chain) -> None:
    digest = transaction.signing_digest()
    outpoints: set[Outpoint] = set()
    if not transaction.inputs and not _calls(transaction):
        raise RejectedError("Transaction must have at least one input")
    for spent in transaction.inputs:
        outpoint = (spent.tx_id.hex(), spent.index)
        if outpoint in outpoints:
            raise RejectedError("The same input is spent twice")
        outpoints.add(outpoint)
        source = _source(chain, outpoint)
        script = parse_script(source.script)
        if not isinstance(script, Payment):
            raise RejectedError("The input's script cannot be spent")
        vertex = chain.vertices[outpoint[0]]
        if transaction.timestamp_s <= vertex.timestamp_s:
            raise RejectedError("The transaction must be newer than what it spends")
        if script.timelock_s is not None and transaction.timestamp_s <= script.timelock_s:
            raise RejectedError("The input is time locked")
        if not chain.is_spendable(outpoint, transaction.timestamp_s):
            raise RejectedError("At least one of your inputs has already been spent, or is locked or voided")
        verify_input(digest, spent.data, script)


def _source(chain: Chain, outpoint: Outpoint) -> Output:
    vertex = chain.vertices.get(outpoint[0])
    if vertex is None or outpoint[1] >= len(vertex.outputs):
        raise RejectedError(f"Input tx {outpoint[0]} output {outpoint[1]} does not exist")
    return vertex.outputs[outpoint[1]]


def _verify_parents(transaction: Transaction, chain: Chain) -> None:
    if len(transaction.parents) != 2 or len(set(transaction.parents)) != 2:  # noqa: PLR2004 - by rule two
        raise RejectedError("A transaction must have two parents")
    for parent in transaction.parents:
        vertex = chain.vertices.get(parent.hex())
        if vertex is None or vertex.is_block:
            raise RejectedError(f"Parent {parent.hex()} does not exist or is a block")
        if vertex.timestamp_s >= transaction.timestamp_s:
            raise RejectedError("The transaction must be newer than its parents")


def _verify_sums(transaction: Transaction, chain: Chain) -> None:
    sums: dict[str, _Sums] = defaultdict(_Sums)
    for spent in transaction.inputs:
        vertex = chain.vertices[spent.tx_id.hex()]
        source = vertex.outputs[spent.index]
        entry = sums[vertex.token_id(source.token_data)]
        if source.token_data & 0x80:
            entry.authorities |= source.value
        else:
            entry.spent += source.value
            entry.inputs += 1
    created = transaction.id if transaction.version == TOKEN_CREATION else None
    if created is not None:
        sums[created].authorities = MINT | MELT
    _add_actions(transaction, sums)
    for output in transaction.outputs:
        entry = sums[transaction.token_id(output.token_data)]
        if not output.is_authority:
            entry.made += output.value
            entry.outputs += 1
        elif output.value & ~entry.authorities:
            raise RejectedError("An authority output has no authority to come from")
    _balance(transaction, sums, chain)


def _add_actions(transaction: Transaction, sums: dict[str, _Sums]) -> None:
    """What goes into a contract is made of the inputs, as outputs are; what comes out of it is spent."""
    for action in (action for header in _calls(transaction) for action in header.actions):
        entry = sums[transaction.token_id(action.token_index)]
        if action.kind == DEPOSIT:
            entry.made += action.value
            entry.outputs += 1
        elif action.kind == WITHDRAWAL:
            entry.spent += action.value
            entry.inputs += 1
        elif action.kind == ACQUIRE:
            entry.authorities |= action.value
        elif action.value & ~entry.authorities:
            raise RejectedError("A grant has no authority to come from")


def _balance(transaction: Transaction, sums: dict[str, _Sums], chain: Chain) -> None:
    """Checks that inputs equal outputs for each token, except for minting and melting, which move a deposit, and for fees."""
    due, fee = 0, 0
    for token_id, entry in sums.items():
        if token_id == "00":  # noqa: S105 - a token's id
            continue
        minted = entry.made - entry.spent
        if minted > 0 and not entry.authorities & MINT:
            raise RejectedError(f"There is a surplus of token {token_id} and no authority to mint")
        if minted < 0 and not entry.authorities & MELT:
            raise RejectedError(f"There is a deficit of token {token_id} and no authority to melt")
        if _token_version(transaction, token_id, chain) == FEE_TOKEN:
            fee += FEE_PER_OUTPUT * (entry.outputs or min(entry.inputs, 1))
        else:
            due += _deposit(minted)
    paid = _fees(transaction)
    if paid != fee:
        raise RejectedError(f"Fee amount is different than expected. (amount={paid}, expected={fee})")
    native = sums["00"]
    due += fee
    if native.spent - native.made != due:
        raise RejectedError(f"HTR balance is different than expected: {native.made - native.spent} != {-due}")


def _token_version(transaction: Transaction, token_id: str, chain: Chain) -> int:
    """Of a token that a contract made the chain keeps no version: it counts as one with a deposit."""
    if transaction.token_info is not None and token_id == transaction.id:
        return transaction.token_info.version
    created = chain.vertices.get(token_id)
    return DEPOSIT_TOKEN if created is None else created.token_version


def _fees(transaction: Transaction) -> int:
    """What the fee headers pay in the native token."""
    return sum(
        fee.value
        for header in transaction.headers
        if isinstance(header, FeeHeader)
        for fee in header.fees
        if fee.token_index == 0
    )


def _deposit(minted: int) -> int:
    """The cost of a mint, rounded up; or what a melt (negative) gives back, rounded down."""
    return -(-minted // DEPOSIT_PARTS)


def _calls(transaction: Transaction) -> list[NanoHeader]:
    return [header for header in transaction.headers if isinstance(header, NanoHeader)]
