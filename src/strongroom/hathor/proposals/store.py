"""Stores proposals: transactions that a wallet is about to send, and the outputs that are held for them meanwhile.

`tx_proposal.status` is the original's. A proposal that is being sent stays `open` (or `send_error`) there; that its outcome
is open stands in our table beside it, and the bytes are an intent. Our row is deleted when the proposal has ended.

    open ──begin──> being sent ──> sent          outputs stay marked until the chain shows them spent
      │                 └────────> send_error    outputs free; may be sent again while nobody else holds them
      ├──refused here────────────> send_error    the same: a wallet that fails begins anew, and needs its outputs
      └──cancel, expiry──> cancelled             outputs free
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, func, select, update

from strongroom.core.intents.intent import Intent, Outcome, Rejected
from strongroom.core.intents.signing import request_of
from strongroom.core.intents.store import adopt, load_by_slot, load_intent, reject_all
from strongroom.core.security.policy import Granted
from strongroom.core.storage.database import locking
from strongroom.core.storage.statements import Statement, arg, delete_by_key, execute, select_value
from strongroom.hathor import tables
from strongroom.hathor.index.writer_lock import lock_ledger
from strongroom.hathor.proposals.sent import find_sent, is_on_chain, is_voided, remember_sent
from strongroom.hathor.proposals.utxo_locks import LockedUtxo, ProposalRefused, hold, release
from strongroom.hathor.protocol.hashes import base58check_encode
from strongroom.hathor.protocol.headers import NanoHeader
from strongroom.hathor.protocol.transactions import Transaction, parse_transaction
from strongroom.hathor.tables import CANCELLED, OPEN, SEND_ERROR, SENDABLE_STATUSES, SENT

SENDING = "sending"
"""The status that a caller sees while the outcome is open, and the stage of the intent."""
Admit = Callable[[Connection, str], AbstractContextManager[Granted]]
"""Asks the policy whether this wallet's transaction may leave."""
MAX_SEQNUM_JUMP = 10
"""The node refuses a greater one."""
_ours, _theirs = tables.proposal.c, tables.tx_proposal.c
_address, _caller = tables.address.c, tables.caller.c


def _change(**values: Any) -> Statement:
    """Sets columns of our row; those of value `arg` are named as their columns, and come before the proposal's id."""
    names = [name for name, value in values.items() if isinstance(value, BindParameter)]
    changed = update(tables.proposal).where(_ours.id == arg("proposal_id")).values(values)
    return Statement(changed, *names, "proposal_id")


STORE_SIGNED = _change(signed=arg("signed"), tx_id=arg("tx_id"), sending_since_ms=arg("sending_since_ms"))
END_SENDING = _change(sending_since_ms=None)
NOTE_CALLER = _change(caller=arg("caller"), seqnum_before=arg("seqnum_before"))
FORGET_CALLER = _change(caller=None, seqnum_before=None)
COUNT_FAILURE = _change(attempts=_ours.attempts + 1)
FORGET = delete_by_key(tables.proposal)
SET_STATUS = Statement(
    update(tables.tx_proposal)
    .where(_theirs.id == arg("proposal_id"))
    .values(status=arg("status"), updated_at=arg("updated_at")),
    "status",
    "updated_at",
    "proposal_id",
)
SEQNUM = Statement(
    select(_address.seqnum).where(_address.address == arg("address"), _address.wallet_id == arg("wallet_id")),
    "address",
    "wallet_id",
)
SET_SEQNUM = Statement(
    update(tables.address).where(_address.address == arg("address")).values(seqnum=arg("seqnum")),
    "seqnum",
    "address",
)
LOWER_SEQNUM = Statement(
    update(tables.address)
    .where(_address.address == arg("address"), _address.seqnum == arg("raised"))
    .values(seqnum=arg("seqnum")),
    "seqnum",
    "address",
    "raised",
)
SEEN_SEQNUM = Statement(select(func.max(_caller.seqnum)).where(_caller.address == arg("address")), "address")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    id: str
    wallet_id: str
    status: str
    proposed: bytes | None
    """The transaction as it was proposed; None: the original made the proposal, and kept no transaction."""
    signed: bytes | None
    tx_id: str | None
    sending_since_ms: int | None
    caller: str | None
    seqnum_before: int | None


def propose(
    connection: Connection, proposal_id: str, wallet_id: str, transaction: Transaction, raw: bytes, now_s: int
) -> list[LockedUtxo]:
    """Stores an open proposal and holds the outputs that it spends; returns these in the inputs' order.

    Raises:
        ProposalRefused: the outputs cannot be held.
    """
    # The ledger's lock, which this may take, comes before the locks of outputs, as it does in the sync.
    caller = _raise_seqnum(connection, wallet_id, transaction)
    connection.execute(
        tables.tx_proposal.insert(),
        {"id": proposal_id, "wallet_id": wallet_id, "status": OPEN, "created_at": now_s},
    )
    row: dict[str, object] = {"id": proposal_id, "proposed": raw}
    if caller is not None:
        row |= {"caller": caller[0], "seqnum_before": caller[1]}
    connection.execute(tables.proposal.insert(), row)
    return hold(connection, wallet_id, proposal_id, _outpoints(transaction))


def find_proposal(
    connection: Connection, proposal_id: str, wallet_id: str | None, *, lock: bool = False
) -> Proposal:
    """Reads a proposal; `wallet_id` None: of any wallet. `lock` keeps it from changing until the commit.

    Raises:
        ProposalRefused: there is none, or another wallet owns it.
    """
    query = select(tables.tx_proposal).where(tables.tx_proposal.c.id == proposal_id)
    row = connection.execute(locking(query) if lock else query).first()
    if row is None:
        raise ProposalRefused("tx-proposal-not-found")
    # The original tells apart what is not there and what is another wallet's.
    if wallet_id is not None and row.wallet_id != wallet_id:
        raise ProposalRefused("forbidden")
    ours = connection.execute(select(tables.proposal).where(tables.proposal.c.id == proposal_id)).first()
    return Proposal(
        id=row.id,
        wallet_id=row.wallet_id,
        status=row.status,
        proposed=ours.proposed if ours else None,
        signed=ours.signed if ours else None,
        tx_id=ours.tx_id if ours else None,
        sending_since_ms=ours.sending_since_ms if ours else None,
        caller=ours.caller if ours else None,
        seqnum_before=ours.seqnum_before if ours else None,
    )


def already_sent(connection: Connection, proposal: Proposal, raw: bytes, tx_id: str) -> bool:
    """Whether these bytes, the transaction `tx_id`, went out for this proposal, and the chain did not void them since."""
    if proposal.status != SENT:
        return False
    # Our row goes when the proposal has ended; what was sent is kept for a week beyond that.
    went_out = raw in (proposal.signed, find_sent(connection, proposal.id))
    return went_out and not is_voided(connection, tx_id)


def check_sendable(proposal: Proposal, raw: bytes) -> None:
    """Checks that these bytes may be sent. Raises: ProposalRefused: it has ended, or is being sent with other bytes."""
    if proposal.status not in SENDABLE_STATUSES or proposal.proposed is None:
        raise ProposalRefused("tx-proposal-not-open", status=proposal.status)
    # Of two transactions that spend the same outputs either may win, so one is under way at a time.
    if proposal.sending_since_ms is not None and proposal.signed != raw:
        raise ProposalRefused("tx-proposal-not-open", status=SENDING)


def begin_broadcast(
    connection: Connection,
    proposal_id: str,
    wallet_id: str | None,
    raw: bytes,
    tx_id: str,
    now_ms: int,
    admit: Admit,
) -> Intent | None:
    """Stores the bytes that will be sent: the point of no return.

    Where the same bytes are being sent already, it returns their intent. None: they went out already. `admit` asks the policy
    on behalf of the proposal's wallet.

    Raises:
        Forbidden: the policy refuses.
        ProposalRefused: `check_sendable`, or what a failed proposal spent is no longer free.
    """
    proposal = find_proposal(connection, proposal_id, wallet_id, lock=True)
    if already_sent(connection, proposal, raw, tx_id):
        return None
    check_sendable(proposal, raw)
    # One node refused it and another one took it: the sync has shown it meanwhile, so nothing is left to send. Its intent is
    # corrected by `ReturnedPayments`.
    if proposal.status == SEND_ERROR and proposal.signed == raw and is_on_chain(connection, tx_id):
        _correct(connection, proposal, raw, now_ms // 1000)
        return None
    is_under_way = proposal.sending_since_ms is not None
    if is_under_way and (intent := load_by_slot(connection, _slot(proposal_id))) is not None:
        return intent
    # Its outputs were freed when it failed, and another proposal may hold them now.
    if proposal.status == SEND_ERROR and proposal.proposed is not None and not is_under_way:
        _take_again(connection, proposal, parse_transaction(proposal.proposed))
    if _went_out_before(connection, proposal, raw, tx_id, now_ms):
        return None
    execute(connection, STORE_SIGNED, raw, tx_id, now_ms, proposal_id)
    with admit(connection, proposal.wallet_id) as granted:
        asked = granted.request
        intent = Intent(
            id=bytes.fromhex(tx_id),
            account=proposal.wallet_id,
            slot=_slot(proposal_id),
            kind=asked.kind,
            payload=raw,
            principal=asked.principal.name,
            request=request_of(granted, {"proposal": proposal_id}),
            wallet=asked.wallet,
            token=asked.principal.token,
            request_id=asked.principal.request_id,
            client_key=proposal_id,
            rule=granted.rule,
            counted=granted.counted,
            stage=SENDING,
            created_at_ms=now_ms,
        )
        granted.payload_id = intent.id
        return _adopt_new(connection, intent)


def _adopt_new(connection: Connection, intent: Intent) -> Intent:
    """Stores the intent. Raises: ProposalRefused: these bytes have just turned out to be sent for another proposal."""
    stored = adopt(connection, intent)
    if not stored.is_new:
        raise ProposalRefused("tx-proposal-not-open", status=SENDING)
    return stored


def _went_out_before(connection: Connection, proposal: Proposal, raw: bytes, tx_id: str, now_ms: int) -> bool:
    """Whether these bytes went out for an earlier proposal that was thought to have failed; then this one is sent too.

    Their outcome is known, so nobody would tell this proposal of it, and it would hold its outputs for good.

    Raises:
        ProposalRefused: they are under way for another proposal.
    """
    known = load_intent(connection, bytes.fromhex(tx_id))
    if known is None or known.outcome is Outcome.REJECTED:
        return False
    if known.is_open:
        raise ProposalRefused("tx-proposal-not-open", status=SENDING)
    if is_voided(connection, tx_id):  # the network took it and lost it, so that it may go out again
        lose_broadcast(connection, tx_id, now_ms)
        return False
    # It holds its outputs until the chain shows them spent.
    execute(connection, STORE_SIGNED, raw, tx_id, now_ms, proposal.id)
    execute(connection, END_SENDING, proposal.id)
    _set_sent(connection, proposal.id, raw, now_ms // 1000)
    return True


def _take_again(connection: Connection, proposal: Proposal, transaction: Transaction) -> None:
    """Takes back what was freed when the proposal failed: the place in the caller's count, and the outputs."""
    if (caller := _raise_seqnum(connection, proposal.wallet_id, transaction)) is not None:
        execute(connection, NOTE_CALLER, *caller, proposal.id)
    hold(connection, proposal.wallet_id, proposal.id, _outpoints(transaction))


def finish_broadcast(connection: Connection, intent: Intent, *, is_sent: bool, now_s: int) -> None:
    """Ends the sending with `sent` or `send_error`; the latter also where nothing left this service."""
    try:
        proposal = find_proposal(connection, intent.notes["proposal"], None, lock=True)
    except ProposalRefused:
        return  # its wallet was deleted
    if proposal.tx_id != intent.id.hex():
        return  # other bytes are being sent since; this outcome is not theirs
    if proposal.sending_since_ms is None:
        if is_sent:
            _correct(connection, proposal, intent.payload, now_s)
        return
    execute(connection, END_SENDING, proposal.id)
    if not is_sent:
        _fail(connection, proposal, now_s)
        return
    # The sweep forgets it when it holds no more outputs.
    _set_sent(connection, proposal.id, intent.payload, now_s)


def lose_broadcast(connection: Connection, tx_id: str, now_ms: int) -> None:
    """Notes that the network lost a transaction that it had taken: its bytes may be sent again."""
    reject_all(
        connection, [bytes.fromhex(tx_id)], Rejected(reason="The network lost it", stage=SEND_ERROR), now_ms
    )


def refuse(connection: Connection, proposal_id: str, wallet_id: str | None, now_s: int) -> None:
    """Ends an open proposal whose signed transaction is not valid, as if the node had refused it."""
    proposal = find_proposal(connection, proposal_id, wallet_id, lock=True)
    if proposal.status == OPEN and proposal.sending_since_ms is None:
        _fail(connection, proposal, now_s)


def _fail(connection: Connection, proposal: Proposal, now_s: int) -> None:
    # Whoever begins to send it writes our row too, so that on two database nodes one of both is undone.
    execute(connection, COUNT_FAILURE, proposal.id)
    _free(connection, proposal)
    _set_status(connection, proposal.id, SEND_ERROR, now_s)


def _correct(connection: Connection, proposal: Proposal, raw: bytes, now_s: int) -> None:
    """Corrects a proposal that ended in failure: that one node took it outweighs that another one refused it."""
    if proposal.status == SEND_ERROR:
        _set_sent(connection, proposal.id, raw, now_s)
        forget(connection, proposal.id)  # its outputs were freed when it failed


def cancel(connection: Connection, proposal_id: str, wallet_id: str | None, now_s: int) -> None:
    """Cancels a proposal and frees its outputs.

    Raises:
        ProposalRefused: there is none, or it is not open, or it is being sent.
    """
    proposal = find_proposal(connection, proposal_id, wallet_id, lock=True)
    if proposal.status not in SENDABLE_STATUSES or proposal.sending_since_ms is not None:
        raise ProposalRefused("tx-proposal-not-open")
    _free(connection, proposal)
    forget(connection, proposal_id)
    _set_status(connection, proposal_id, CANCELLED, now_s)


def forget(connection: Connection, proposal_id: str) -> None:
    """Drops what only the sending needed; the original's row stays."""
    execute(connection, FORGET, proposal_id)


def _free(connection: Connection, proposal: Proposal) -> None:
    if proposal.caller is not None and proposal.proposed is not None:
        _lower_seqnum(connection, proposal, parse_transaction(proposal.proposed))
        # Given back once: by the next time the number may be another proposal's.
        execute(connection, FORGET_CALLER, proposal.id)
    release(connection, proposal.id)


def _set_sent(connection: Connection, proposal_id: str, raw: bytes, now_s: int) -> None:
    _set_status(connection, proposal_id, SENT, now_s)
    remember_sent(connection, proposal_id, raw, now_s)


def _set_status(connection: Connection, proposal_id: str, status: str, now_s: int) -> None:
    execute(connection, SET_STATUS, status, now_s, proposal_id)


def _outpoints(transaction: Transaction) -> list[tuple[str, int]]:
    return [(spent.tx_id.hex(), spent.index) for spent in transaction.inputs]


def _raise_seqnum(connection: Connection, wallet_id: str, transaction: Transaction) -> tuple[str, int] | None:
    """Raises the sequence number of an address that calls a contract, so that its next call counts on from this one.

    Returns the address and the number before; None: there is no call, or its number does not count on.
    """
    header = _nano(transaction)
    if header is None:
        return None
    lock_ledger(connection)
    address = base58check_encode(header.address[:-4])
    before = select_value(connection, SEQNUM, address, wallet_id)
    # Of a number that does not count on, the node is the judge.
    if before is None or not 0 < header.seqnum - before <= MAX_SEQNUM_JUMP:
        return None
    execute(connection, SET_SEQNUM, header.seqnum, address)
    return address, before


def _lower_seqnum(connection: Connection, proposal: Proposal, transaction: Transaction) -> None:
    """Gives the sequence number back: each failed call would leave a gap, and the node allows only small ones.

    The number never falls below that of a call on the chain, and stays where a later proposal has raised it.
    """
    header = _nano(transaction)
    if header is None:
        return
    lock_ledger(connection)
    seen = select_value(connection, SEEN_SEQNUM, proposal.caller) or 0
    floor = max(proposal.seqnum_before or 0, seen)
    execute(connection, LOWER_SEQNUM, min(floor, header.seqnum), proposal.caller, header.seqnum)


def _nano(transaction: Transaction) -> NanoHeader | None:
    return next((header for header in transaction.headers if isinstance(header, NanoHeader)), None)


def _slot(proposal_id: str) -> bytes:
    return proposal_id.encode()
