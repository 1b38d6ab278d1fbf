"""Routes about proposals: a transaction is announced, its outputs are held, it is sent or given up."""

import re
from typing import Any

from litestar import Response

from strongroom.core.errors import OutcomeUnknown
from strongroom.hathor.api.refusal import Refusal
from strongroom.hathor.api.requests import Request, answer, bearer, read_body, written
from strongroom.hathor.api.validation import Key, Problem, Schema, invalid_payload, text
from strongroom.hathor.proposals.broadcaster import BroadcastResult
from strongroom.hathor.proposals.service import Proposals
from strongroom.hathor.proposals.store import OPEN, SEND_ERROR, SENT
from strongroom.hathor.proposals.submitter import Submitter
from strongroom.hathor.proposals.utxo_locks import LockedUtxo
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.transactions import Transaction, parse_transaction
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.history import address_path
from strongroom.hathor.wallets.jwt import Principal, Tokens
from strongroom.hathor.wallets.registry import WalletNotFound

TX_HEX = text(alphanumeric=True)
PROPOSAL = Schema(keys={"txHex": Key(check=TX_HEX, required=True)})
SIGNED = Schema(keys={"txHex": Key(check=TX_HEX)})
"""As `PROPOSAL`; that it is missing is told when there is nothing else to say."""
BARE_GUID = r"[0-9a-f]{8}([:-]?)[0-9a-f]{4}\1?[45][0-9a-f]{3}\1?[89ab][0-9a-f]{3}\1?[0-9a-f]{12}"
GUID = re.compile(BARE_GUID, re.IGNORECASE)
BRACKETS = ("{}", "[]", "()")


class ProposalRoutes:
    def __init__(
        self, *, proposals: Proposals, reader: WalletReader, tokens: Tokens, submitter: Submitter
    ) -> None:
        self._proposals = proposals
        self._reader = reader
        self._tokens = tokens
        self._submitter = submitter

    async def create(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=True)
        transaction, raw = read_transaction(SIGNED.check(await read_body(request))["txHex"])
        proposal_id, held = await self._proposals.propose(principal, transaction, raw)
        inputs = [encode_locked_utxo(each) for each in held]
        return written({"success": True, "txProposalId": proposal_id, "inputs": inputs}, 201)

    async def send(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=True)
        proposal_id = read_proposal_id(request)
        try:
            tx_hex = SIGNED.check(await read_body(request))["txHex"]
        except Refusal as refusal:
            raise Refusal(400, "invalid-payload") from refusal
        wallet = await self._reader.known_wallet(principal)
        if wallet is None:
            await self._check_open(principal, proposal_id)  # what is wrong with it goes first
            raise WalletNotFound
        try:
            transaction, raw = read_transaction(tx_hex)
        except Refusal:
            await self._check_open(principal, proposal_id)
            raise
        outcome = await send(self._submitter, wallet.id, proposal_id, transaction, raw)
        return encode_outcome(outcome, proposal_id, tx_hex)

    async def destroy(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=True)
        proposal_id: str = request.path_params["txProposalId"]
        await self._proposals.cancel(principal, proposal_id)
        return answer(txProposalId=proposal_id)

    async def _check_open(self, principal: Principal, proposal_id: str) -> None:
        """Raises: Refusal, ProposalRefused."""
        proposal = await self._proposals.find(proposal_id, principal.wallet_id)
        if proposal.status not in {OPEN, SEND_ERROR}:
            raise Refusal(400, "tx-proposal-not-open", status=proposal.status)


def read_proposal_id(request: Request) -> str:
    """Raises: Refusal: 400 `invalid-parameter`."""
    proposal_id: str = request.path_params["txProposalId"]
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
    submitter: Submitter, wallet_id: str | None, proposal_id: str, transaction: Transaction, raw: bytes
) -> BroadcastResult | None:
    """None: nobody knows yet. Raises: ProposalRefused."""
    try:
        return await submitter.send(wallet_id, proposal_id, transaction, raw)
    except OutcomeUnknown:
        return None


def encode_outcome(outcome: BroadcastResult | None, proposal_id: str, tx_hex: str) -> Response[bytes]:
    """Raises: Refusal: it was not sent, or nobody knows yet."""
    known = {"txProposalId": proposal_id, "txHex": tx_hex}
    if outcome is None:
        message = (
            "The node has not answered; the transaction may have been sent. Ask again with the same bytes"
        )
        raise Refusal(504, "tx-proposal-pending", message=message, **known)
    if outcome.status == SENT:
        return answer(**known)
    if outcome.status == OPEN:
        raise Refusal(503, "fullnode-unavailable", details=[{"message": outcome.message}], **known)
    raise Refusal(400, "tx-proposal-send-error", message=outcome.message, **known)


def encode_locked_utxo(held: LockedUtxo) -> dict[str, Any]:
    return {
        "txId": held.tx_id,
        "index": held.index,
        "addressPath": address_path(held.key_index, held.account),
    }


def _wrong_hex(what: str) -> Refusal:
    return invalid_payload([Problem(message=f'"txHex" {what}', path=("txHex",))])
