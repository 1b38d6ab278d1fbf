"""Routes about proposals: a transaction is announced, its outputs are held, it is sent or given up."""

import re
import uuid
from typing import Any

from litestar import Response
from sqlalchemy import Connection

from strongroom.core.clock import Entropy
from strongroom.core.errors import OutcomeUnknown, StrongroomError
from strongroom.core.storage.database import Database
from strongroom.hathor.api.reading import Reader
from strongroom.hathor.api.refusal import Refusal, wallet_not_found
from strongroom.hathor.api.requests import Request, answer, bearer, read_body, written
from strongroom.hathor.api.validation import Key, Problem, Schema, invalid_payload, text
from strongroom.hathor.gateway.network_rules import Versions
from strongroom.hathor.proposals.broadcaster import Outcome
from strongroom.hathor.proposals.store import OPEN, SEND_ERROR, SENT, Proposal, cancel, find_proposal, propose
from strongroom.hathor.proposals.submitter import Submitter
from strongroom.hathor.proposals.utxo_locks import LockedUtxo, ProposalRefusedError
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.transactions import MAX_COUNT, Transaction, parse_transaction
from strongroom.hathor.wallets.history import address_path
from strongroom.hathor.wallets.jwt import Principal, Tokens

TX_HEX = text(alphanumeric=True)
PROPOSAL = Schema(keys={"txHex": Key(check=TX_HEX, required=True)})
SIGNED = Schema(keys={"txHex": Key(check=TX_HEX)})
"""As `PROPOSAL`; that it is missing is told when there is nothing else to say."""
STATUSES = {"tx-proposal-not-found": 404, "forbidden": 403}
BARE_GUID = r"[0-9a-f]{8}([:-]?)[0-9a-f]{4}\1?[45][0-9a-f]{3}\1?[89ab][0-9a-f]{3}\1?[0-9a-f]{12}"
GUID = re.compile(BARE_GUID, re.IGNORECASE)
BRACKETS = ("{}", "[]", "()")
ID_BYTES = 16


class ProposalRoutes:
    def __init__(
        self,
        *,
        database: Database,
        reader: Reader,
        tokens: Tokens,
        submitter: Submitter,
        versions: Versions,
        entropy: Entropy,
    ) -> None:
        self._database = database
        self._reader = reader
        self._tokens = tokens
        self._submitter = submitter
        self._versions = versions
        self._entropy = entropy

    async def create(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=True)
        transaction, raw = read_transaction(SIGNED.check(await read_body(request))["txHex"])
        max_inputs, max_outputs = await read_limits(self._versions)
        if len(transaction.outputs) > max_outputs:
            raise Refusal(400, "too-many-outputs", outputs=len(transaction.outputs))
        proposal_id = new_proposal_id(self._entropy)

        def work(connection: Connection) -> list[LockedUtxo]:
            wallet = self._reader.ready(connection, principal)
            held = propose(connection, proposal_id, wallet.id, transaction, raw, self._reader.now_s)
            if len(held) > max_inputs:
                raise ProposalRefusedError("too-many-inputs", inputs=len(held))
            return held

        try:
            held = await self._database.write(work)
        except ProposalRefusedError as error:
            raise proposal_refusal(error) from error
        except (
            OutcomeUnknown
        ) as error:  # it may hold the outputs: until it expires, or the caller gives it up
            raise Refusal(503, "service-unavailable", txProposalId=proposal_id) from error
        held.sort(key=lambda each: (each.tx_id, each.index))
        body = {
            "success": True,
            "txProposalId": proposal_id,
            "inputs": [encode_locked_utxo(each) for each in held],
        }
        return written(body, 201)

    async def send(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=True)
        proposal_id = read_proposal_id(request)
        try:
            tx_hex = SIGNED.check(await read_body(request))["txHex"]
        except Refusal as refusal:
            raise Refusal(400, "invalid-payload") from refusal
        wallet = await self._reader.known_wallet(principal)
        try:
            if wallet is None:
                raise wallet_not_found()
            transaction, raw = read_transaction(tx_hex)
        except Refusal:
            await self._check_open(principal, proposal_id)  # what is wrong with it goes first
            raise
        outcome = await send(self._submitter, wallet.id, proposal_id, transaction, raw)
        return encode_outcome(outcome, proposal_id, tx_hex)

    async def destroy(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=True)
        proposal_id: str = request.path_params["txProposalId"]

        def work(connection: Connection) -> None:
            if self._reader.known(connection, principal) is None:
                find_proposal(connection, proposal_id, principal.wallet_id)
                raise wallet_not_found()
            cancel(connection, proposal_id, principal.wallet_id, self._reader.now_s)

        try:
            await self._database.write(work)
        except ProposalRefusedError as error:
            raise proposal_refusal(error) from error
        return answer(txProposalId=proposal_id)

    async def _check_open(self, principal: Principal, proposal_id: str) -> None:
        """Raises: Refusal."""

        def find(connection: Connection) -> Proposal:
            return find_proposal(connection, proposal_id, principal.wallet_id)

        try:
            proposal = await self._database.read(find)
        except ProposalRefusedError as error:
            raise proposal_refusal(error) from error
        if proposal.status not in {OPEN, SEND_ERROR}:
            raise Refusal(400, "tx-proposal-not-open", status=proposal.status)


async def read_limits(versions: Versions) -> tuple[int, int]:
    """Of inputs and outputs; a node that is away is no reason to refuse: it judges when the transaction comes."""
    try:
        rules = await versions.rules()
    except StrongroomError:
        return MAX_COUNT, MAX_COUNT
    return rules.max_number_inputs, rules.max_number_outputs


def new_proposal_id(entropy: Entropy) -> str:
    return str(uuid.UUID(bytes=entropy.token(ID_BYTES), version=4))


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
) -> Outcome | None:
    """Raises: Refusal."""
    try:
        return await submitter.send(wallet_id, proposal_id, transaction, raw)
    except ProposalRefusedError as error:
        raise proposal_refusal(error) from error
    except OutcomeUnknown:
        return None


def encode_outcome(outcome: Outcome | None, proposal_id: str, tx_hex: str) -> Response[bytes]:
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


def proposal_refusal(error: ProposalRefusedError) -> Refusal:
    return Refusal(STATUSES.get(error.error, 400), error.error, **error.details)


def _wrong_hex(what: str) -> Refusal:
    return invalid_payload([Problem(message=f'"txHex" {what}', path=("txHex",))])
