"""Proposals: a transaction is announced, its outputs are held, it is sent or given up."""

import re

import msgspec
from litestar import Controller, delete, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from strongroom.core.errors import OutcomeUnknown
from strongroom.core.security.access import Principal
from strongroom.hathor.api.access import Caller
from strongroom.hathor.api.answers import Hash, Success
from strongroom.hathor.api.refusal import Refusal, refused
from strongroom.hathor.api.requests import Request, read_body
from strongroom.hathor.api.terms import Access, Terms
from strongroom.hathor.api.validation import Key, Problem, Schema, invalid_payload, text
from strongroom.hathor.api.wallets.wallet import NOT_READY
from strongroom.hathor.proposals.broadcast_policy import wallet_caller
from strongroom.hathor.proposals.broadcaster import BroadcastResult
from strongroom.hathor.proposals.service import Proposals
from strongroom.hathor.proposals.submitter import Submitter
from strongroom.hathor.proposals.utxo_locks import LockedUtxo
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.transactions import Transaction, parse_transaction
from strongroom.hathor.tables import OPEN, SEND_ERROR, SENT
from strongroom.hathor.wallets.history import address_path
from strongroom.hathor.wallets.registry import WalletNotFound

TX_HEX = text(alphanumeric=True)
PROPOSAL = Schema(keys={"txHex": Key(check=TX_HEX, required=True)})
SIGNED = Schema(keys={"txHex": Key(check=TX_HEX)})
"""As `PROPOSAL`; that it is missing is told when there is nothing else to say."""
PROPOSAL_ID = Schema(keys={"txProposalId": Key(check=text(), required=True)})
BARE_GUID = r"[0-9a-f]{8}([:-]?)[0-9a-f]{4}\1?[45][0-9a-f]{3}\1?[89ab][0-9a-f]{3}\1?[0-9a-f]{12}"
GUID = re.compile(BARE_GUID, re.IGNORECASE)
BRACKETS = ("{}", "[]", "()")


KNOWN = {
    403: refused("`forbidden`: another wallet's, or the token is read-only"),
    404: refused("`tx-proposal-not-found`"),
}


class HeldInput(msgspec.Struct, kw_only=True, rename="camel"):
    tx_id: Hash
    index: int
    address_path: str


class ProposalAnswer(Success, kw_only=True, rename="camel"):
    tx_proposal_id: str
    inputs: list[HeldInput]


class SentAnswer(Success, kw_only=True, rename="camel"):
    tx_proposal_id: str
    tx_hex: str


class CancelledAnswer(Success, kw_only=True, rename="camel"):
    tx_proposal_id: str


class ProposalController(Controller):
    path = "/tx/proposal"
    tags = ("Proposals",)

    @post(
        "/",
        summary="Propose a transaction; its outputs are held for it",
        opt=Terms(access=Access.FULL, body=PROPOSAL).opt,
        responses={
            **NOT_READY,
            400: refused("`invalid-payload`, or why its inputs or outputs cannot be taken"),
        },
    )
    async def create(self, request: Request, proposals: NamedDependency[Proposals]) -> ProposalAnswer:
        owner = request.caller
        transaction, raw = read_transaction(SIGNED.check(await read_body(request))["txHex"])
        proposal_id, held = await proposals.propose(owner.principal, transaction, raw)
        return ProposalAnswer(tx_proposal_id=proposal_id, inputs=[held_input(each) for each in held])

    @put(
        "/{txProposalId:str}",
        summary="Send a proposal",
        opt=Terms(access=Access.FULL, path=PROPOSAL_ID, body=PROPOSAL).opt,
        responses={
            **KNOWN,
            400: refused(
                "`invalid-parameter`, `invalid-payload`, `tx-proposal-not-open`, `tx-proposal-no-match` or"
                " `tx-proposal-send-error`"
            ),
            503: refused("The node is away, and nothing was sent: `fullnode-unavailable`"),
            504: refused("Nobody knows yet: `tx-proposal-pending`; ask again with the same bytes"),
        },
    )
    async def send(
        self,
        request: Request,
        txProposalId: FromPath[str],
        proposals: NamedDependency[Proposals],
        submitter: NamedDependency[Submitter],
    ) -> SentAnswer:
        owner = request.caller
        proposal_id = read_proposal_id(txProposalId)
        try:
            tx_hex = SIGNED.check(await read_body(request))["txHex"]
        except Refusal as refusal:
            raise Refusal(400, "invalid-payload") from refusal
        wallet = await owner.known_wallet()
        if wallet is None:
            await _check_open(proposals, owner, proposal_id)  # what is wrong with it goes first
            raise WalletNotFound
        try:
            transaction, raw = read_transaction(tx_hex)
        except Refusal:
            await _check_open(proposals, owner, proposal_id)
            raise
        caller = wallet_caller(wallet.id, owner.source, owner.request_id)
        outcome = await send(submitter, wallet.id, proposal_id, transaction, raw, caller)
        return sent_answer(outcome, proposal_id, tx_hex)

    @delete(
        "/{txProposalId:str}",
        status_code=200,
        summary="Give a proposal up; its outputs are free again",
        opt=Terms(access=Access.FULL, path=PROPOSAL_ID).opt,
        responses={**KNOWN, 400: refused("`tx-proposal-not-open`")},
    )
    async def destroy(
        self, request: Request, txProposalId: FromPath[str], proposals: NamedDependency[Proposals]
    ) -> CancelledAnswer:
        owner = request.caller
        await proposals.cancel(owner.principal, txProposalId)
        return CancelledAnswer(tx_proposal_id=txProposalId)


async def _check_open(proposals: Proposals, owner: Caller, proposal_id: str) -> None:
    """Raises: Refusal, ProposalRefused."""
    proposal = await proposals.find(proposal_id, owner.wallet_id)
    if proposal.status not in {OPEN, SEND_ERROR}:
        raise Refusal(400, "tx-proposal-not-open", status=proposal.status)


def read_proposal_id(proposal_id: str) -> str:
    """Raises: Refusal: 400 `invalid-parameter`."""
    bare = proposal_id[1:-1] if proposal_id[:1] + proposal_id[-1:] in BRACKETS else proposal_id
    if not GUID.fullmatch(bare):
        raise Refusal(400, "invalid-parameter", parameter="txProposalId")
    return proposal_id.lower()


def read_transaction(tx_hex: str | None) -> tuple[Transaction, bytes]:
    """Raises: Refusal: 400 `invalid-payload`."""
    if tx_hex is None:
        raise _wrong_hex("is required")
    try:
        raw = bytes.fromhex(tx_hex)
    except ValueError as error:
        raise _wrong_hex("must only contain hexadecimal characters") from error
    try:
        transaction = parse_transaction(raw)
    except ProtocolError as error:
        raise _wrong_hex(f"is not a transaction: {error}") from error
    if len({(spent.tx_id, spent.index) for spent in transaction.inputs}) < len(transaction.inputs):
        raise _wrong_hex("spends an output twice")
    return transaction, raw


async def send(
    submitter: Submitter,
    wallet_id: str | None,
    proposal_id: str,
    transaction: Transaction,
    raw: bytes,
    caller: Principal,
) -> BroadcastResult | None:
    """None: nobody knows yet. `caller`: see `Submitter.send`. Raises: ProposalRefused, Forbidden."""
    try:
        return await submitter.send(wallet_id, proposal_id, transaction, raw, caller)
    except OutcomeUnknown:
        return None


def sent_answer(outcome: BroadcastResult | None, proposal_id: str, tx_hex: str) -> SentAnswer:
    """Raises: Refusal: it was not sent, or nobody knows yet."""
    known = {"txProposalId": proposal_id, "txHex": tx_hex}
    if outcome is None:
        message = (
            "The node has not answered; the transaction may have been sent. Ask again with the same bytes"
        )
        raise Refusal(504, "tx-proposal-pending", message=message, **known)
    if outcome.status == SENT:
        return SentAnswer(tx_proposal_id=proposal_id, tx_hex=tx_hex)
    if outcome.status == OPEN:
        raise Refusal(503, "fullnode-unavailable", details=[{"message": outcome.message}], **known)
    raise Refusal(400, "tx-proposal-send-error", message=outcome.message, **known)


def held_input(held: LockedUtxo) -> HeldInput:
    return HeldInput(
        tx_id=held.tx_id, index=held.index, address_path=address_path(held.key_index, held.account)
    )


def _wrong_hex(what: str) -> Refusal:
    return invalid_payload([Problem(message=f'"txHex" {what}', path=("txHex",))])
