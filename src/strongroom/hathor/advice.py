"""Codes of the Hathor ledger, in its own dialect: words with hyphens, in `error`."""

from collections.abc import Mapping

from strongroom.core.advice import Advice, Chapter

ADVICE: Mapping[str, Advice] = {
    "invalid-payload": Advice(
        400, "The body or the query is not as described.", "`details` names each fault."
    ),
    "invalid-parameter": Advice(400, "A parameter of the path is not as described.", "`parameter` names it."),
    "invalid-auth-signature": Advice(
        400,
        "What the wallet signed to authenticate does not fit, or its clock is too far off.",
        "Correct the client's clock: `details` says by how much; `HATHOR_CLOCK_SKEW_S`.",
    ),
    "wallet-not-found": Advice(
        404,
        "There is no such wallet here (400 on some routes, as in the original).",
        "Load it: `POST /wallet/init`.",
    ),
    "wallet-not-ready": Advice(
        400,
        "The wallet is still being loaded, or its load failed.",
        "Ask `GET /wallet/status` until it is `ready`.",
    ),
    "wallet-already-loaded": Advice(400, "The wallet was loaded before.", "Nothing: use it."),
    "wallet-max-retries": Advice(
        400, "The wallet's load failed too often.", "The log says why; repair that, then load it again."
    ),
    "address-not-found": Advice(404, "The wallet has no such address.", "Look at the address or its index."),
    "address-not-in-wallet": Advice(400, "An address is not the wallet's.", "`missing` names it."),
    "device-not-found": Advice(404, "No such device is registered.", "Register it first."),
    "token-not-found": Advice(404, "The chain has no such token.", "Look at the uid."),
    "tx-not-found": Advice(
        404,
        "There is no such transaction of this wallet.",
        "Look at the id; has the sync reached it? `/health` says.",
    ),
    "tx-output-not-in-wallet": Advice(
        403, "The output is not the wallet's.", "Look at the id and the index."
    ),
    "insufficient-funds": Advice(
        400,
        "The wallet has less than the outputs take.",
        "`insufficient` says of which token; locked outputs and those of open proposals do not count.",
    ),
    "insufficient-inputs": Advice(
        400, "The named inputs have less than the outputs take.", "Name more, or let the service choose."
    ),
    "inputs-not-found": Advice(
        400,
        "An input is not in the chain as the service knows it.",
        "`missing` names it; has the sync reached it?",
    ),
    "inputs-not-in-wallet": Advice(400, "An input is not the wallet's.", "`missing` names it."),
    "inputs-already-used": Advice(
        400, "Another proposal holds an input.", "Cancel that one, or wait until it ends."
    ),
    "too-many-inputs": Advice(
        400, "The transaction needs more inputs than one may have.", "Send less, or merge outputs first."
    ),
    "too-many-outputs": Advice(400, "The transaction has more outputs than one may have.", "Split it."),
    "invalid-selection-algorithm": Advice(
        400, "There is no such way to choose inputs.", "Leave `inputSelectionAlgo` out."
    ),
    "tx-proposal-not-found": Advice(
        404,
        "There is no such proposal: it was not created, or it ended long ago.",
        "Create it first: `POST /tx/proposal`.",
    ),
    "tx-proposal-not-open": Advice(
        400,
        "The proposal is over, or being sent with other bytes.",
        "`status` says which; look whether it was sent before you make another.",
    ),
    "tx-proposal-no-match": Advice(
        400, "The bytes are not the transaction that was announced.", "Send what was proposed."
    ),
    "invalid-tx-signature": Advice(
        400, "A signature does not fit its input; nothing was sent.", "`input` names it."
    ),
    "invalid-tx-weight": Advice(
        400,
        "The weight or the proof of work is too low; nothing was sent.",
        "Have it mined again; a node in test mode needs `HATHOR_VERIFY_PROPOSALS=false`.",
    ),
    "tx-proposal-send-error": Advice(
        400, "The full node refused it.", "`message` has the node's words; its outputs are free."
    ),
    "tx-proposal-pending": Advice(
        504,
        "It was sent, and its outcome is not known yet.",
        "Do not make another: repeat with the same bytes to hear.",
    ),
    "approval-needed": Advice(
        403,
        "People must approve it first; it keeps its outputs.",
        "`strongroom approvals list`; repeat with the same bytes to hear.",
    ),
    "fullnode-unavailable": Advice(
        503,
        "The full node does not answer; nothing was sent.",
        "Look at the node and at `DEFAULT_SERVER`; ask again.",
    ),
    "fullnode-error": Advice(
        502,
        "The node had an error of its own, or is none.",
        "Is `DEFAULT_SERVER` really a full node's `.../v1a/`?",
    ),
    "fullnode-refused": Advice(400, "The node refused this request.", "`details` has its reason."),
    "service-unavailable": Advice(
        503,
        "The database does not answer or cannot be used; nothing was changed.",
        "`details` and `/health` say which; ask again.",
    ),
    "too-many-requests": Advice(
        429, "This client asks too often.", "Wait; behind a proxy set `HATHOR_TRUSTED_PROXIES`."
    ),
    "internal-server-error": Advice(
        500, "A defect; the log has a traceback.", "Report it with the request's id."
    ),
}

CHAPTER = Chapter(
    "Hathor",
    (
        "The API of Hathor gives them as `error`, beside `details`. Its wallets read the words of the original, so codes of all ledgers have\n"
        "other words there: what is not as described is `invalid-payload`, what is away is `service-unavailable`, and what is forbidden has its code\n"
        "with hyphens (`rule_denied` is `rule-denied`). A token that does not count gets 401 with `message` alone."
    ),
    ADVICE,
)
