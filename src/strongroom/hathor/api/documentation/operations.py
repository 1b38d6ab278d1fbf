"""Every route of the API, with what it takes and what it answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from strongroom.hathor.api import proposals, shapes
from strongroom.hathor.api.documentation.operation import Access, Operation
from strongroom.hathor.api.network import chain, node
from strongroom.hathor.api.validation import Key, Schema, text
from strongroom.hathor.api.wallets import (
    addresses,
    deletion,
    devices,
    history,
    holdings,
    outputs,
    registration,
)

OUTPUTS = {
    400: "`invalid-payload`, `address-not-in-wallet` or `wallet-not-ready`",
    403: "`tx-output-not-in-wallet`",
    404: "`wallet-not-found`",
}
WALLET = {400: "`wallet-not-ready`, or `invalid-payload`", 404: "`wallet-not-found`"}
NODE = {
    400: "`invalid-payload`, or the node refused: `fullnode-refused`",
    404: "The node does not know it: `fullnode-refused`",
    502: "The node failed: `fullnode-error`",
    503: "The node is away: `fullnode-unavailable`",
}
LIMITED = {429: "`too-many-requests`"}
PROPOSAL_ID = Schema(keys={"txProposalId": Key(check=text(), required=True)})
PROXY = "/wallet/proxy"


def operations(registration_body: Schema) -> Sequence[Operation]:
    return (
        *_registration(registration_body),
        *_wallet(),
        *_addresses(),
        *_proposals(),
        *_devices(),
        *_node(),
        *_chain(),
        *_operators(),
    )


def _registration(body: Schema) -> Sequence[Operation]:
    tag, public = "Registration", Access.PUBLIC
    signed = {403: "Signatures are not valid", **LIMITED}
    return (
        Operation(
            method="POST",
            path="/wallet/init",
            summary="Register a wallet and load it",
            tag=tag,
            access=public,
            body=body,
            answer=shapes.StatusAnswer,
            errors={400: "`invalid-payload`, `wallet-already-loaded` or `wallet-max-retries`", **signed},
        ),
        Operation(
            method="PUT",
            path="/wallet/auth",
            summary="Change the authentication key; earlier tokens end",
            tag=tag,
            access=public,
            body=body,
            answer=shapes.StatusAnswer,
            errors={404: "`wallet-not-found`", **signed},
        ),
        Operation(
            method="POST",
            path="/auth/token",
            summary="A full token, for a signature of the authentication key",
            tag=tag,
            access=public,
            body=registration.TOKEN,
            answer=shapes.TokenAnswer,
            errors={400: "`invalid-payload`, `wallet-not-found` or `invalid-auth-signature`", **LIMITED},
        ),
        Operation(
            method="POST",
            path="/auth/token/readonly",
            summary="A read-only token, for who knows the xpub",
            tag=tag,
            access=public,
            body=registration.READ_ONLY,
            answer=shapes.TokenAnswer,
            errors={400: "`invalid-payload`, `wallet-not-found` or `wallet-not-ready`", **LIMITED},
        ),
        Operation(
            method="DELETE",
            path="/wallet",
            summary="Delete the wallet; the chain's record stays",
            tag=tag,
            access=Access.FULL,
            body=deletion.DELETION,
            answer=shapes.DeletedAnswer,
            errors={
                400: "`invalid-payload` or `invalid-auth-signature`",
                404: "`wallet-not-found`",
                **LIMITED,
            },
        ),
    )


def _wallet() -> Sequence[Operation]:
    return (
        _read(
            "/wallet/status", "How far the wallet is loaded", shapes.StatusAnswer, errors={404: WALLET[404]}
        ),
        _read(
            "/wallet/balances",
            "What the wallet has, by token",
            shapes.BalancesAnswer,
            query=holdings.BALANCES,
            amounts=True,
        ),
        _read("/wallet/tokens", "Tokens that it ever had to do with", shapes.TokensAnswer, errors={}),
        _read(
            "/wallet/history",
            "Its transactions of a token, the latest first",
            shapes.HistoryAnswer,
            query=history.HISTORY,
            amounts=True,
        ),
        _read(
            "/wallet/history/export",
            "The whole history as a file, streamed",
            None,
            query=history.EXPORT,
            amounts=True,
            media=tuple(history.MEDIA.values()),
        ),
        _read(
            "/wallet/transactions/{txId}",
            "What one transaction changed, by token",
            shapes.TransactionAnswer,
            inside=holdings.TRANSACTION,
            amounts=True,
            errors={400: "`invalid-payload`", 404: "`tx-not-found`"},
        ),
        _read(
            "/wallet/tx_outputs",
            "Outputs, by filter or id, or chosen for an amount",
            shapes.OutputsAnswer,
            query=outputs.OUTPUTS,
            amounts=True,
            errors=OUTPUTS,
        ),
        _read(
            "/wallet/utxos",
            "The same, of those that are not spent",
            shapes.UtxosAnswer,
            query=outputs.UTXOS,
            amounts=True,
            errors=OUTPUTS,
        ),
    )


def _addresses() -> Sequence[Operation]:
    missing = {**WALLET, 404: "`address-not-found` or `wallet-not-found`"}
    tag = "Addresses"
    return (
        _read(
            "/wallet/addresses",
            "The wallet's addresses, or the one with an index",
            shapes.AddressesAnswer,
            query=addresses.LIST,
            errors=missing,
            tag=tag,
        ),
        _read(
            "/wallet/address/info",
            "One address of the wallet",
            shapes.AddressInfoAnswer,
            query=addresses.INFO,
            errors=missing,
            tag=tag,
        ),
        _read(
            "/wallet/addresses/new",
            "Unused addresses after the last used one",
            shapes.NewAddressesAnswer,
            query=addresses.NEW,
            tag=tag,
        ),
        Operation(
            method="POST",
            path="/wallet/addresses/check_mine",
            summary="Which of these are the wallet's",
            tag=tag,
            access=Access.FULL,
            body=addresses.MINE,
            answer=shapes.MineAnswer,
            errors=WALLET,
        ),
        _read(
            "/wallet/addresses/has-transactions-outside-first-address",
            "Whether another address than the first was used",
            shapes.UsedBeyondFirstAnswer,
            tag=tag,
        ),
    )


def _proposals() -> Sequence[Operation]:
    tag, path = "Proposals", "/tx/proposal/{txProposalId}"
    known = {403: "`forbidden`: another wallet's, or the token is read-only", 404: "`tx-proposal-not-found`"}
    return (
        Operation(
            method="POST",
            path="/tx/proposal",
            summary="Propose a transaction; its outputs are held for it",
            tag=tag,
            access=Access.FULL,
            body=proposals.PROPOSAL,
            answer=shapes.ProposalAnswer,
            status=201,
            errors={**WALLET, 400: "`invalid-payload`, or why its inputs or outputs cannot be taken"},
        ),
        Operation(
            method="PUT",
            path=path,
            summary="Send it",
            tag=tag,
            access=Access.FULL,
            inside=PROPOSAL_ID,
            body=proposals.PROPOSAL,
            answer=shapes.SentAnswer,
            errors={
                **known,
                400: "`invalid-parameter`, `invalid-payload`, `tx-proposal-not-open`, `tx-proposal-no-match` or"
                " `tx-proposal-send-error`",
                503: "The node is away, and nothing was sent: `fullnode-unavailable`",
                504: "Nobody knows yet: `tx-proposal-pending`; ask again with the same bytes",
            },
        ),
        Operation(
            method="DELETE",
            path=path,
            summary="Give it up; its outputs are free again",
            tag=tag,
            access=Access.FULL,
            inside=PROPOSAL_ID,
            answer=shapes.CancelledAnswer,
            errors={**known, 400: "`tx-proposal-not-open`"},
        ),
    )


def _devices() -> Sequence[Operation]:
    tag, full, answer = "Push notifications", Access.FULL, shapes.DoneAnswer
    return (
        Operation(
            method="POST",
            path="/wallet/push/register",
            summary="Register a device; it takes the place of an earlier registration",
            tag=tag,
            access=full,
            body=devices.REGISTER,
            answer=answer,
            errors={404: WALLET[404]},
        ),
        Operation(
            method="PUT",
            path="/wallet/push/update",
            summary="Change what a device wants to hear",
            tag=tag,
            access=full,
            body=devices.UPDATE,
            answer=answer,
            errors={404: "`device-not-found`"},
        ),
        Operation(
            method="DELETE",
            path="/wallet/push/unregister/{deviceId}",
            summary="Forget a device, known or not",
            tag=tag,
            access=full,
            inside=devices.UNREGISTER,
            answer=answer,
        ),
    )


def _node() -> Sequence[Operation]:
    tag = "Full node"
    return (
        Operation(
            method="GET",
            path="/version",
            summary="The node's version and the network's rules",
            tag=tag,
            access=Access.PUBLIC,
            answer=shapes.VersionAnswer,
            errors={status: NODE[status] for status in (400, 404, 502, 503)},
        ),
        _read(
            "/wallet/tokens/{token_id}/details",
            "Name, supply and authorities of a token",
            shapes.TokenDetailsAnswer,
            inside=node.TOKEN,
            amounts=True,
            errors={**NODE, 404: "`token-not-found`"},
            tag=tag,
        ),
        *(
            _read(
                f"{PROXY}{path}",
                summary,
                shape,
                inside=inside,
                query=query,
                errors=NODE,
                tag=tag,
                amounts=amounts,
            )
            for path, summary, shape, inside, query, amounts in (
                (
                    "/transactions/{txId}",
                    "A transaction",
                    shapes.NodeAnswer,
                    node.TRANSACTION,
                    None,
                    True,
                ),
                (
                    "/transactions/{txId}/confirmation_data",
                    "How deep it lies",
                    shapes.NodeAnswer,
                    node.TRANSACTION,
                    None,
                    False,
                ),
                (
                    "/graphviz/neighbours",
                    "The graph around it, DOT in a string; the node's refusal of an unknown one",
                    str | shapes.NodeAnswer,
                    None,
                    node.GRAPH,
                    False,
                ),
                ("/nano_contract/state", "A contract's state", shapes.NodeAnswer, None, node.STATE, False),
                ("/nano_contract/history", "Its calls", shapes.NodeAnswer, None, node.HISTORY, True),
                (
                    "/nano_contract/blueprint/info",
                    "A blueprint",
                    shapes.NodeAnswer,
                    None,
                    node.BLUEPRINT,
                    False,
                ),
            )
        ),
    )


def _chain() -> Sequence[Operation]:
    tag = "Chain"
    return (
        _read("/miners", "Who mined how many blocks", shapes.MinersAnswer, errors={}, tag=tag),
        _read("/blocks/latest", "The best block", shapes.BlockAnswer, errors={}, tag=tag),
        _read(
            "/tokens/{token_id}/supply",
            "How much of a token there is",
            shapes.SupplyAnswer,
            inside=chain.TOKEN,
            amounts=True,
            errors={404: "`token-not-found`"},
            tag=tag,
        ),
    )


def _operators() -> Sequence[Operation]:
    tag = "Operation"
    return (
        Operation(
            method="GET",
            path="/metrics",
            summary="The best block's height, for Prometheus",
            tag=tag,
            access=Access.PUBLIC,
            answer=None,
            media=("text/plain",),
        ),
        Operation(
            method="GET",
            path="/health",
            summary="Whether the service follows its node",
            tag=tag,
            access=Access.KEY,
            answer=shapes.HealthAnswer,
        ),
    )


def _read(
    path: str,
    summary: str,
    answer: Any,
    *,
    errors: Mapping[int, str] = WALLET,
    tag: str = "Wallet",
    **more: Any,
) -> Operation:
    return Operation(method="GET", path=path, summary=summary, answer=answer, errors=errors, tag=tag, **more)
