"""Codes of the Atto ledger."""

from collections.abc import Mapping

from strongroom.core.advice import Advice, Chapter

ADVICE: Mapping[str, Advice] = {
    "invalid_value": Advice(400, "A value is not one of the protocol.", "Read the message."),
    "invalid_number": Advice(
        400, "A number is no integer, or out of its range.", "Send a whole number of raw units."
    ),
    "invalid_address": Advice(
        400, "This is no Atto address.", "Copy it again: its checksum is wrong or letters are missing."
    ),
    "invalid_hash": Advice(400, "This is no hash.", "Send 64 hex digits."),
    "invalid_label": Advice(400, "The label is too long or not printable.", "Send a shorter one."),
    "invalid_wallet_name": Advice(
        400, "This is no name for a wallet.", "Use letters, digits, `.`, `_` and `-`."
    ),
    "invalid_encryption_key": Advice(
        400,
        "The wallet's encryption key is malformed, not the wallet's, or easy to guess.",
        "Give the key that the creation of the wallet answered; wrong ones are slowed down.",
    ),
    "invalid_mnemonic": Advice(
        400, "The mnemonic is none, or not this wallet's.", "Look at the order and spelling of the 24 words."
    ),
    "mnemonic_unproven": Advice(
        0, "Nothing shows that the mnemonic is this wallet's.", "Give the encryption key instead."
    ),
    "invalid_amount": Advice(
        400, "The amount is not positive, or more than there can be.", "Send raw units, greater than 0."
    ),
    "insufficient_balance": Advice(
        400,
        "The account has less than this.",
        "Look at the balance; deposits that wait for their receive do not count yet.",
    ),
    "same_representative": Advice(400, "The account has this representative already.", "Nothing."),
    "invalid_transaction": Advice(400, "The transaction would not be valid.", "Read the message."),
    "invalid_block": Advice(400, "The block would not be valid.", "Read the message."),
    "invalid_key": Advice(400, "This is no key of the protocol.", "Read the message."),
    "invalid_network": Advice(400, "This is no network.", "Use `live`, `beta`, `dev` or `local`."),
    "invalid_signature": Advice(400, "The signature does not fit.", "Read the message."),
    "invalid_work": Advice(
        400, "The work does not reach the threshold.", "Look at the work server: is it one of this network?"
    ),
    "scan_limit": Advice(
        400,
        "The range has more account indexes than `ATTO_SCAN_LIMIT`.",
        "Ask in smaller ranges, or raise it.",
    ),
    "wallet_locked": Advice(
        400,
        "The wallet is locked.",
        "Unlock it with its encryption key: `PUT /wallets/{name}/locks/UNLOCKED`.",
    ),
    "account_disabled": Advice(0, "The account is disabled, so it receives nothing by itself.", "Enable it."),
    "already_received": Advice(0, "Somebody else received this deposit.", "Nothing."),
    "wallet_not_found": Advice(404, "There is no wallet of this name.", "`GET /wallets` lists them."),
    "account_not_found": Advice(
        404, "No wallet here has this account.", "Create it, or look at the address."
    ),
    "account_not_open": Advice(404, "The account has received nothing yet.", "Send something to it first."),
    "transaction_not_found": Advice(
        404,
        "This service signed no such transaction.",
        "Look at the hash; histories made elsewhere are the node's.",
    ),
    "no_progress": Advice(404, "No recovery of this wallet is under way.", "Start one."),
    "wallet_exists": Advice(409, "A wallet has this name.", "Choose another name."),
    "wallet_changed": Advice(
        409, "Somebody else changed the wallet meanwhile.", "Read it again, then decide."
    ),
    "account_taken": Advice(409, "Another wallet has this account.", "Use that wallet."),
    "index_mismatch": Advice(
        409,
        "An account in the database does not belong to the wallet's mnemonic.",
        "Another program changed the row: `strongroom audit verify`.",
    ),
    "no_index_left": Advice(409, "The wallet has no account index left.", "Make another wallet."),
    "height_mismatch": Advice(
        409,
        "`lastHeight` is not the account's height: something was signed in between.",
        "Look whether it is this payment, before you ask again.",
    ),
    "node_rejected": Advice(
        422, "The ledger can never take the block.", "Correct the request and ask again."
    ),
    "node_unavailable": Advice(
        503,
        "The Atto node does not answer; nothing was signed.",
        "Look at the node and at `NODE_BASE_URL`; ask again with the same key.",
    ),
    "node_dishonest": Advice(
        503,
        "The node answers with what cannot be; nothing was signed.",
        "Is `NODE_BASE_URL` really an Atto node of this network?",
    ),
    "node_clock": Advice(
        503, "The node's clock has jumped; nothing was signed.", "Look at the clocks of both machines."
    ),
    "ahead_of_time": Advice(
        503,
        "The account's last block is in the future; nothing was signed.",
        "Look at the clocks; wait until that time.",
    ),
    "work_unavailable": Advice(
        503,
        "No proof of work was found in time; nothing was signed.",
        "Look at the work server; `ATTO_WORK_FALLBACK=true` lets this machine search.",
    ),
    "account_held": Advice(
        503,
        "The account waits for the outcome of the block in the message; nothing was signed.",
        "`strongroom payments --stuck` says what it waits for; do not pay from elsewhere.",
    ),
    "wrong_network": Advice(
        503,
        "The node belongs to another network than `NETWORK`; nothing was signed.",
        "Correct `NODE_BASE_URL` or `NETWORK`.",
    ),
    "account_altered": Advice(
        0,
        "An account has an address that its wallet's key does not give.",
        "Another program changed the row: find out who.",
    ),
}

CHAPTER = Chapter("Atto", "The API of Atto gives them as `code`, beside `message`.", ADVICE)
