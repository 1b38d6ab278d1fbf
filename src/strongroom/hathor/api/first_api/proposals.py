"""The first API's proposals: the service makes the transaction, the wallet signs and mines it, the service puts it together."""

import base64
import binascii
from typing import Any

import msgspec
from litestar import Controller, delete, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from strongroom.core.clock import Entropy
from strongroom.core.security.access import Principal
from strongroom.hathor.api.answers import Amount, Seconds, Success
from strongroom.hathor.api.first_api.access import TAG
from strongroom.hathor.api.proposals import (
    PROPOSAL_ID,
    CancelledAnswer,
    HeldInput,
    SentAnswer,
    held_input,
    read_proposal_id,
    send,
    sent_answer,
)
from strongroom.hathor.api.refusal import Refusal, refused
from strongroom.hathor.api.requests import Request, read_body
from strongroom.hathor.api.terms import Access, Terms
from strongroom.hathor.api.validation import Key, Problem, Schema, invalid_payload, number, optional, text
from strongroom.hathor.api.wallets.wallet import NOT_READY
from strongroom.hathor.gateway.network_rules import Versions
from strongroom.hathor.proposals.coin_selection import Draft, Drafter, Payee, complete
from strongroom.hathor.proposals.service import Proposals
from strongroom.hathor.proposals.store import Proposal
from strongroom.hathor.proposals.submitter import Submitter, weight_rule
from strongroom.hathor.protocol.addresses import Network, parse_address
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.transactions import HASH_SIZE, Transaction, parse_transaction
from strongroom.hathor.protocol.work import usual_weight
from strongroom.hathor.scopes import SEND

USE_LARGER = "USE_LARGER_UTXOS"
"""The only way of choosing inputs there ever was."""
LATEST_S = 2**32 - 1
MAX_NONCE = 2**32 - 1
HEAVIER = 1.1
"""A transaction may weigh that many times what it needs."""
ALPHANUMERIC = text(alphanumeric=True)
PAYEE = Schema(
    keys={
        "address": Key(check=ALPHANUMERIC, required=True),
        "value": Key(check=number(integer=True, positive=True), required=True),
        "token": Key(check=ALPHANUMERIC, default="00"),
        "timelock": Key(check=optional(number(integer=True, positive=True, high=LATEST_S))),
    }
)
SPENT = Schema(
    keys={
        "txId": Key(check=ALPHANUMERIC, required=True),
        "index": Key(check=number(integer=True, low=0), required=True),
    }
)
DRAFT = Schema(
    keys={
        "id": Key(check=text(), required=True),
        "outputs": Key(objects=PAYEE, items=True, required=True, max_items=10_000),
        "inputs": Key(objects=SPENT, items=True, min_items=0, max_items=10_000),
        "inputSelectionAlgo": Key(check=text()),
    }
)
SIGNED = Schema(
    keys={
        "timestamp": Key(check=number(integer=True, low=0, high=LATEST_S), required=True),
        "parents": Key(check=text(), items=True, required=True, min_items=2, max_items=2),
        "weight": Key(check=number(), required=True),
        "nonce": Key(check=number(integer=True, low=0, high=MAX_NONCE), required=True),
        "inputsSignatures": Key(check=text(), items=True, required=True, min_items=0),
    }
)


KNOWN = {404: refused("`tx-proposal-not-found`")}


class LegacyPayee(msgspec.Struct, kw_only=True):
    address: str
    value: Amount
    token: str
    timelock: Seconds | None


class LegacyProposalAnswer(Success, kw_only=True, rename="camel"):
    tx_proposal_id: str
    inputs: list[HeldInput]
    outputs: list[LegacyPayee]
    tokens: list[str]


class LegacyProposals:
    """Makes and sends transactions for wallets; `LegacyProposalController` has the routes."""

    def __init__(
        self,
        *,
        proposals: Proposals,
        entropy: Entropy,
        network: Network,
        submitter: Submitter,
        versions: Versions,
    ) -> None:
        self._proposals = proposals
        self._entropy = entropy
        self._network = network
        self._submitter = submitter
        self._versions = versions

    async def create(self, body: dict[str, Any]) -> tuple[str, Draft]:
        """A proposal's id, and what is proposed. Raises: Refusal, ProposalRefused."""
        max_inputs, max_outputs = await self._proposals.limits()
        if len(body["outputs"]) > max_outputs:
            raise Refusal(400, "too-many-outputs", outputs=len(body["outputs"]))
        payees = [self._payee(place, output) for place, output in enumerate(body["outputs"])]
        if body["inputSelectionAlgo"] not in {None, USE_LARGER}:
            raise Refusal(400, "invalid-selection-algorithm")
        drafter = Drafter(
            network=self._network, entropy=self._entropy, max_inputs=max_inputs, max_outputs=max_outputs
        )
        spent = [(each["txId"], each["index"]) for each in body["inputs"] or []]
        return await self._proposals.draft(body["id"], payees, spent, drafter)

    async def send(self, holder: Principal, proposal_id: str, body: dict[str, Any]) -> SentAnswer:
        """Raises: Refusal, ProposalRefused, Forbidden."""
        proposal, proposed = await self._proposals.find_with_transaction(proposal_id)
        if proposed is None:
            raise Refusal(400, "tx-proposal-not-open", status=proposal.status)
        transaction = _complete(parse_transaction(proposed), body)
        await self._check_weight(transaction, proposal)
        raw = transaction.encode()
        outcome = await send(self._submitter, None, proposal_id, transaction, raw, holder)
        return sent_answer(outcome, proposal_id, raw.hex())

    async def cancel(self, proposal_id: str) -> None:
        """Raises: ProposalRefused."""
        await self._proposals.cancel_any(proposal_id)

    async def _check_weight(self, transaction: Transaction, proposal: Proposal) -> None:
        least = usual_weight(transaction, weight_rule(await self._versions.rules()))
        if not least <= transaction.weight < least * HEAVIER:
            raise Refusal(400, "invalid-tx-weight", status=proposal.status)

    def _payee(self, place: int, output: dict[str, Any]) -> Payee:
        try:
            parse_address(output["address"], self._network)
        except ProtocolError as error:
            label = f"outputs[{place}].address"
            path = ("outputs", place, "address")
            raise invalid_payload([Problem(message=f'"{label}" is not valid: {error}', path=path)]) from error
        return Payee(
            address=output["address"],
            value=output["value"],
            token_id=output["token"],
            timelock_s=output["timelock"],
        )


class LegacyProposalController(Controller):
    path = "/txproposals"
    tags = (TAG,)

    @post(
        "/",
        summary="Make a transaction for a wallet",
        opt=Terms(body=DRAFT, amounts=True, access=Access.LEGACY, scope=SEND).opt,
        responses={**NOT_READY, 400: refused("`invalid-payload`, or why it cannot be made")},
    )
    async def create(
        self, request: Request, legacy_proposals: NamedDependency[LegacyProposals]
    ) -> LegacyProposalAnswer:
        proposal_id, draft = await legacy_proposals.create(DRAFT.check(await read_body(request)))
        return LegacyProposalAnswer(
            tx_proposal_id=proposal_id,
            inputs=[held_input(held) for held in draft.held],
            outputs=[
                LegacyPayee(
                    address=payee.address,
                    value=payee.value,
                    token=payee.token_id,
                    timelock=payee.timelock_s,
                )
                for payee in draft.payees
            ],
            tokens=draft.token_ids,
        )

    @put(
        "/{txProposalId:str}",
        summary="Send a proposal that is signed and mined",
        opt=Terms(path=PROPOSAL_ID, body=SIGNED, access=Access.LEGACY, scope=SEND).opt,
        responses={
            **KNOWN,
            400: refused(
                "`invalid-parameter`, `invalid-payload`, `tx-proposal-not-open`, `invalid-tx-weight` or"
                " `tx-proposal-send-error`"
            ),
            502: refused("The node failed: `fullnode-error`"),
            503: refused("The node is away, and nothing was sent: `fullnode-unavailable`"),
            504: refused("Nobody knows yet: `tx-proposal-pending`; ask again with the same body"),
        },
    )
    async def send(
        self,
        request: Request,
        txProposalId: FromPath[str],
        legacy_proposals: NamedDependency[LegacyProposals],
    ) -> SentAnswer:
        proposal_id = read_proposal_id(txProposalId)
        body = SIGNED.check(await read_body(request))
        return await legacy_proposals.send(request.holder, proposal_id, body)

    @delete(
        "/{txProposalId:str}",
        status_code=200,
        summary="Give a proposal up",
        opt=Terms(path=PROPOSAL_ID, access=Access.LEGACY, scope=SEND).opt,
        responses={**KNOWN, 400: refused("`tx-proposal-not-open`")},
    )
    async def destroy(
        self, txProposalId: FromPath[str], legacy_proposals: NamedDependency[LegacyProposals]
    ) -> CancelledAnswer:
        await legacy_proposals.cancel(txProposalId)
        return CancelledAnswer(tx_proposal_id=txProposalId)


def _complete(proposed: Transaction, body: dict[str, Any]) -> Transaction:
    parents = [_parent(place, text) for place, text in enumerate(body["parents"])]
    signatures = body["inputsSignatures"]
    if len(signatures) != len(proposed.inputs):
        message = f'"inputsSignatures" must contain {len(proposed.inputs)} items'
        raise invalid_payload([Problem(message=message, path=("inputsSignatures",))])
    return complete(
        proposed,
        timestamp_s=body["timestamp"],
        parents=parents,
        weight=float(body["weight"]),
        nonce=body["nonce"],
        input_data=[_input_data(place, text) for place, text in enumerate(signatures)],
    )


def _parent(place: int, written_id: str) -> bytes:
    try:
        parent = bytes.fromhex(written_id)
    except ValueError:
        parent = b""
    if len(parent) != HASH_SIZE:
        message = f'"parents[{place}]" is no transaction id'
        raise invalid_payload([Problem(message=message, path=("parents", place))])
    return parent


def _input_data(place: int, encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        message = f'"inputsSignatures[{place}]" must be a valid base64 string'
        raise invalid_payload([Problem(message=message, path=("inputsSignatures", place))]) from error
