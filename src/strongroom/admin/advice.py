"""Codes that only the admin API gives."""

from collections.abc import Mapping

from strongroom.core.advice import Advice

ADVICE: Mapping[str, Advice] = {
    "invalid_moment": Advice(400, "This is no moment.", "Write as `2026-11-21T08:57:00Z`."),
    "key_invalid": Advice(400, "What was given to unseal is no key.", "Give 64 hex digits."),
    "no_keys": Advice(404, "The ledger seals nothing, so it has no key-encryption key.", "Nothing."),
    "ledger_not_found": Advice(
        404, "This process does not serve such a ledger.", "Look at the spelling; `GET /ledgers` lists them."
    ),
    "ledger_away": Advice(
        503,
        "The database of that ledger does not answer; nothing was changed.",
        "Look at that database; other ledgers go on.",
    ),
    "partly_done": Advice(503, "Of several ledgers some failed.", "`ledgers` names them; repeat for those."),
    "repeated_parameter": Advice(400, "A parameter came twice.", "Send it once."),
    "unknown_parameter": Advice(
        400, "The route has no such parameter, so it would be ignored.", "Look at the spelling."
    ),
    "scope_missing": Advice(
        403,
        "The token lacks the scope, or stands on another ledger.",
        "Use a token with the scope of this ledger.",
    ),
    "wallet_not_found": Advice(
        404,
        "The ledger has no wallet of exactly this name.",
        "`GET /wallets` and `strongroom wallets` list them.",
    ),
    "verification_not_found": Advice(404, "This process has verified nothing yet.", "Start one."),
}
