"""The first API's routes, where it is served."""

from collections.abc import Sequence
from typing import Any

from strongroom.hathor.api import shapes
from strongroom.hathor.api.documentation.operation import Access, Operation
from strongroom.hathor.api.first_api import proposals, wallets
from strongroom.hathor.api.validation import Key, Schema, text

TAG = "The first API"
PROPOSAL_ID = Schema(keys={"txProposalId": Key(check=text(), required=True)})
MISSING = {404: "`wallet-not-found`"}
NOT_READY = {400: "`wallet-not-ready`, or `invalid-payload`", **MISSING}


def legacy_operations(load_body: Schema) -> Sequence[Operation]:
    proposal = "/txproposals/{txProposalId}"
    known = {404: "`tx-proposal-not-found`"}
    return (
        _operation(
            "POST",
            "/wallet",
            "Load a wallet",
            shapes.LegacyStatusAnswer,
            body=load_body,
            errors={400: "`invalid-payload` or `wallet-already-loaded`"},
        ),
        _operation(
            "GET",
            "/wallet",
            "How far it is loaded",
            shapes.LegacyStatusAnswer,
            query=wallets.NAMED,
            errors=MISSING,
        ),
        _operation(
            "GET",
            "/balances",
            "What it has",
            shapes.LegacyBalancesAnswer,
            query=wallets.BALANCES,
            errors=NOT_READY,
            amounts=True,
        ),
        _operation(
            "GET",
            "/addresses",
            "Its addresses",
            shapes.LegacyAddressesAnswer,
            query=wallets.NAMED,
            errors=NOT_READY,
        ),
        _operation(
            "GET",
            "/txhistory",
            "Its transactions of a token",
            shapes.LegacyHistoryAnswer,
            query=wallets.HISTORY,
            errors=NOT_READY,
            amounts=True,
        ),
        _operation(
            "POST",
            "/txproposals",
            "Have a transaction made",
            shapes.LegacyProposalAnswer,
            body=proposals.DRAFT,
            status=201,
            amounts=True,
            errors={**NOT_READY, 400: "`invalid-payload`, or why it cannot be made"},
        ),
        _operation(
            "PUT",
            proposal,
            "Send it, signed and mined",
            shapes.SentAnswer,
            inside=PROPOSAL_ID,
            body=proposals.SIGNED,
            errors={
                **known,
                400: "`invalid-parameter`, `invalid-payload`, `tx-proposal-not-open`, `invalid-tx-weight` or"
                " `tx-proposal-send-error`",
                502: "The node failed: `fullnode-error`",
                503: "The node is away, and nothing was sent: `fullnode-unavailable`",
                504: "Nobody knows yet: `tx-proposal-pending`; ask again with the same body",
            },
        ),
        _operation(
            "DELETE",
            proposal,
            "Give it up",
            shapes.CancelledAnswer,
            inside=PROPOSAL_ID,
            errors={**known, 400: "`tx-proposal-not-open`"},
        ),
    )


def _operation(method: str, path: str, summary: str, answer: Any, **more: Any) -> Operation:
    return Operation(
        method=method, path=path, summary=summary, answer=answer, tag=TAG, access=Access.LEGACY, **more
    )
