"""Codes of the Bittensor ledger."""

from collections.abc import Mapping

from strongroom.core.advice import Advice, Chapter

ADVICE: Mapping[str, Advice] = {
    "token_missing": Advice(
        401,
        "There is no `Authorization: Bearer` header.",
        "Set `WALLET_SERVICE_TOKEN` where the client runs.",
    ),
    "token_expired": Advice(401, "The JWT is past its end.", "Make a new one, or use an API token."),
    "wallet_not_allowed": Advice(
        403,
        "The token is not for this wallet.",
        "Use a token of this wallet: `strongroom token create --ledger bittensor --wallet`.",
    ),
    "hotkey_not_allowed": Advice(403, "The token is not for this hotkey.", "Use a token of this hotkey."),
    "netuid_not_allowed": Advice(
        403,
        "The token is not for this subnet.",
        "Use another token; for `WALLET_SERVICE_TOKEN` look at `netuid`.",
    ),
    "call_not_allowed": Advice(
        403,
        "The token does not allow this call.",
        "Issue one with the call; for `WALLET_SERVICE_TOKEN` look at `WALLET_SERVICE_CALLS`.",
    ),
    "coldkey_not_allowed": Advice(403, "The token may not use coldkeys.", "Issue one that may."),
    "amount_not_allowed": Advice(403, "The token may not move so much.", "Issue one that may."),
    "destination_not_allowed": Advice(403, "The token may not pay this address.", "Issue one that may."),
    "proxy_type_forbids": Advice(
        403,
        "The wallet's proxy may not make this call.",
        "Add a proxy of a wider type, or sign with the coldkey.",
    ),
    "invalid_wallet_name": Advice(400, "This is no name for a wallet.", "Use the folder's name."),
    "invalid_hotkey_name": Advice(400, "This is no name for a hotkey.", "Use the file's name."),
    "invalid_request": Advice(
        422, "The body or the query is not as described.", "`detail` lists each fault with its place."
    ),
    "invalid_signature": Advice(400, "This is no signature.", "Send 64 bytes in hex."),
    "invalid_weights": Advice(
        400, "No chain takes these numbers as weights.", "Send as many weights as uids, none negative."
    ),
    "weights_all_zero": Advice(
        400,
        "These weights would remove all that the hotkey has set.",
        "Set `allow_all_zero_weights` if that is meant.",
    ),
    "weights_refused": Advice(400, "The chain would refuse these weights.", "`detail` says why."),
    "weights_in_flight": Advice(
        409,
        "Other weights of this hotkey are under way in the subnet.",
        "Wait for their job, then ask again.",
    ),
    "weights_superseded": Advice(0, "Later weights of the hotkey took their place.", "Nothing."),
    "too_soon": Advice(0, "The subnet allows no new weights yet.", "Nothing: the service tries again."),
    "message_refused": Advice(
        400, "The service does not sign this form of message.", "docs/bittensor.md lists the forms."
    ),
    "invalid_call": Advice(400, "A value is none that the call can have.", "Read the message."),
    "call_unknown": Advice(400, "The chain's runtime has no such call.", "Is it a call of another runtime?"),
    "idempotency_key_required": Advice(
        400, "A call that pays needs an `Idempotency-Key`.", "Send one for each payment."
    ),
    "era_too_long": Advice(400, "The extrinsic's era is too long.", "Use the SDK's default."),
    "tip_refused": Advice(400, "The service signs no tips.", "Send none."),
    "nonce_taken": Advice(
        409,
        "Another extrinsic has this nonce, or the one before it is missing.",
        "Ask for the nonce again, then sign anew.",
    ),
    "era_ended": Advice(
        409, "The era ended while an earlier extrinsic was followed; nothing was signed.", "Sign anew."
    ),
    "wallet_not_found": Advice(
        404,
        "Neither the vault nor the folder has this wallet.",
        "`strongroom bittensor wallets` lists the keys; look at `BITTENSOR_WALLET_PATH` and its rights.",
    ),
    "hotkey_not_found": Advice(
        404, "The wallet has no such hotkey here.", "Is its file in the folder, and may the service read it?"
    ),
    "coldkey_not_found": Advice(
        404, "The wallet's coldkey is not here.", "Import it, or use a proxy in its place."
    ),
    "job_not_found": Advice(
        404, "This token has no such job.", "Jobs that are over are kept for `BITTENSOR_RETENTION_DAYS`."
    ),
    "job_exists": Advice(409, "The same weights are a job already.", "Nothing: the caller gets that job."),
    "job_altered": Advice(
        409,
        "Another program changed the job; it is not carried out.",
        "Find out who: `strongroom audit verify`; set the weights again.",
    ),
    "key_exists": Advice(0, "The vault has this key.", "Nothing, or remove it first."),
    "key_not_found": Advice(
        404, "The vault has no such key.", "`strongroom bittensor wallets` lists the keys."
    ),
    "key_locked": Advice(
        423,
        "The key file is encrypted and no password is here, or only its address is known.",
        "Set `WALLET_PASSWORD` or `BT_PW_...`.",
    ),
    "wrong_password": Advice(
        423, "The password does not open the key file.", "Correct `WALLET_PASSWORD` or `BT_PW_...`."
    ),
    "pool_refused": Advice(422, "A node's pool refused it.", "The log says why."),
    "account_busy": Advice(
        503,
        "An earlier call of the account still waits for the chain; nothing was signed.",
        "Ask again in a few seconds.",
    ),
    "chain_unavailable": Advice(
        503, "No node answers; nothing was submitted.", "Look at the node and at `chain_endpoint`; ask again."
    ),
    "chain_error": Advice(
        503, "The node answers with an error; nothing was submitted.", "The message has the node's words."
    ),
    "state_discarded": Advice(
        503,
        "The node no longer has the state of that block; nothing was submitted.",
        "Use a node that keeps more, or ask again.",
    ),
    "wrong_chain": Advice(
        503,
        "The node belongs to another chain than `network`; nothing was submitted.",
        "Correct `chain_endpoint` or `network`.",
    ),
    "chain_behind": Advice(
        503,
        "The node knows less than final blocks held; nothing was signed.",
        "Wait until it has synced; a chain that was started anew needs a new database.",
    ),
    "finality_stalled": Advice(
        503, "The last final block is too long ago; nothing was signed.", "Look at the network; ask again."
    ),
    "timelock_unavailable": Advice(
        503, "Weights cannot be sealed; nothing was signed.", "Read the message; ask again."
    ),
    "chain_answer_invalid": Advice(
        502,
        "The node answers with what cannot be; nothing was submitted.",
        "Is `chain_endpoint` really a node?",
    ),
    "submission_unknown": Advice(
        504,
        "It was signed, and the node did not say whether it took it.",
        "Do not send it again: it is followed; ask for the job.",
    ),
}

CHAPTER = Chapter(
    "Bittensor",
    "The API of Bittensor gives them as `code`, beside `detail`; with 401 beside `error`.",
    ADVICE,
)
