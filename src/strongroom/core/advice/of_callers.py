"""Codes that clients of any ledger get."""

from collections.abc import Mapping

from strongroom.core.advice import Advice

OF_CALLERS: Mapping[str, Advice] = {
    "bad_request": Advice(
        400,
        "The body or a parameter cannot be read.",
        "Send what the API's page describes; the message names the place.",
    ),
    "invalid_input": Advice(400, "A value is not as described.", "Read the message: it names the value."),
    "invalid_cursor": Advice(
        400, "The cursor was not given out by this list.", "Begin the list again, without a cursor."
    ),
    "value_not_storable": Advice(
        400,
        "A value is too long, too large or has characters that its column cannot store.",
        "Send a shorter or plainer value.",
    ),
    "unauthenticated": Advice(
        401,
        "There is no token, or none that counts: wrong, revoked or over.",
        "Send `Authorization: Bearer TOKEN`; `strongroom token list` shows the tokens that count.",
    ),
    "forbidden": Advice(
        403,
        "The token does not have this right.",
        "Use a token with the scope, or issue one: `strongroom token create --scope`.",
    ),
    "address_not_allowed": Advice(
        403,
        "The token counts only from other networks.",
        "Call from there, or change its networks: `strongroom token`; behind a proxy name the proxy as trusted.",
    ),
    "rule_denied": Advice(
        403,
        "A rule denies this signature; nothing was signed.",
        "`strongroom policy list` shows the rule that the message names.",
    ),
    "rule_limit": Advice(
        403,
        "A rule's limit is used up; nothing was signed.",
        "Wait until the time that the message names, or change the rule.",
    ),
    "no_rule_allows": Advice(
        403,
        "The default is to deny, and no rule allows this; nothing was signed.",
        "Add a rule that allows it: `strongroom policy add`.",
    ),
    "frozen": Advice(
        403,
        "The wallet, the token or the ledger is frozen; nothing was signed.",
        "`strongroom policy freezes` says who froze it and why; `strongroom unfreeze` ends it.",
    ),
    "approval_needed": Advice(
        403,
        "People must approve it first; nothing was signed.",
        "It waits under the id in the answer: `strongroom approvals list`; ask again after they have decided.",
    ),
    "approval_refused": Advice(
        403,
        "Somebody refused the request; nothing was signed.",
        "The message says who and why; a new request needs a new Idempotency-Key.",
    ),
    "approval_expired": Advice(
        403,
        "Not enough people approved it in time; nothing was signed.",
        "Ask again with a new Idempotency-Key.",
    ),
    "approval_failed": Advice(
        403,
        "It was approved and could not be carried out; nothing was signed.",
        "Read the message; ask again with a new Idempotency-Key.",
    ),
    "approval_spent": Advice(
        409, "It was signed already.", "Look the transaction up that the message names; do not pay again."
    ),
    "too_many_approvals": Advice(
        409,
        "A thousand requests of this caller wait for approvals.",
        "Have them decided: `strongroom approvals list`.",
    ),
    "origin_not_allowed": Advice(
        403,
        "The request comes from a foreign web page.",
        "Add the page's origin to `STRONGROOM_ALLOWED_ORIGINS`.",
    ),
    "cross_site": Advice(
        403, "A browser sent it from another site.", "Add the page's origin to `STRONGROOM_ALLOWED_ORIGINS`."
    ),
    "host_not_allowed": Advice(
        403,
        "The request names a host that is not this service's.",
        "Add the name to `STRONGROOM_ALLOWED_HOSTS`.",
    ),
    "invalid_host": Advice(
        400,
        "`Host` is missing, comes twice or is no host name.",
        "Send one `Host` header; look at the proxy.",
    ),
    "unsupported_media_type": Advice(
        415, "The body is not declared as JSON.", "Send `Content-Type: application/json`."
    ),
    "not_found": Advice(404, "There is no such route or thing.", "Compare the path with the API's page."),
    "method_not_allowed": Advice(405, "The route has another method.", "Use the method of the API's page."),
    "request_entity_too_large": Advice(413, "The body is too large.", "Send a smaller one."),
    "conflict": Advice(
        409, "The state is not what the request expects.", "Read the state again, then decide."
    ),
    "already_stored": Advice(
        409, "Another request stored the same first.", "Read what is stored; nothing was done twice."
    ),
    "idempotency_key_in_progress": Advice(
        409, "The first request with this key is still running.", "Ask again later, with the same key."
    ),
    "idempotency_key_reused": Advice(
        422, "The key belongs to another request.", "Use one key for each payment."
    ),
    "ledger_rejected": Advice(422, "The ledger will never take it.", "Correct the request and ask again."),
    "rate_limited": Advice(
        429,
        "The caller's rate is used up, or too many credentials failed from there.",
        "Wait for the seconds of `Retry-After`.",
    ),
    "too_many_attempts": Advice(
        429,
        "Too many wrong keys were tried; now even the right one is not looked at.",
        "Wait for the seconds of `Retry-After`; the audit trail has who tried.",
    ),
    "locked": Advice(423, "The secret is locked.", "Unlock it first."),
    "unavailable": Advice(
        503,
        "Something that the request needs is away; nothing was signed.",
        "Ask again; `/health` says what is away.",
    ),
    "database_unavailable": Advice(
        503,
        "The database does not answer; nothing was signed.",
        "Look at the database server and at `/health`; ask again with the same key.",
    ),
    "database_busy": Advice(
        503,
        "The database undid it again and again because of others; nothing was signed.",
        "Ask again; look for long transactions of other programs.",
    ),
    "database_unusable": Advice(
        503,
        "The database needs a person: no space, no right, read-only, another schema.",
        "The log has the server's words; repair that, the service goes on by itself.",
    ),
    "sealed": Advice(
        503,
        "The service is sealed, so it signs nothing.",
        "`strongroom unseal LEDGER`, once whoever sealed it agrees.",
    ),
    "key_backend_unavailable": Advice(
        503,
        "Vault, KMS or the HSM does not answer, or is sealed itself.",
        "Look at it; it is asked again by itself.",
    ),
    "vault": Advice(
        503,
        "A secret cannot be opened with this key-encryption key.",
        "Give the key that sealed it: `strongroom doctor` says which.",
    ),
    "sealed_row_altered": Advice(
        503,
        "Another program changed a row with a sealed secret; its key is not used.",
        "Find out who: `strongroom audit verify`; then `strongroom keys accept`.",
    ),
    "key_turned_back": Advice(
        503,
        "Another program turned a change of the key-encryption key back.",
        "Restore the database, or see docs/keys.md.",
    ),
    "rules_altered": Advice(
        503,
        "Another program changed rules or freezes; nothing is signed.",
        "Look at them, then `strongroom rows accept`.",
    ),
    "rules_changed": Advice(
        503, "The rules changed while the request was judged; nothing was signed.", "Ask again."
    ),
    "approval_altered": Advice(
        503,
        "Another program changed the request or its votes; nothing is signed for it.",
        "Find out who: `strongroom audit verify`; then `strongroom rows accept`.",
    ),
    "lease_lost": Advice(503, "Another process goes on with the request.", "Ask again, with the same key."),
    "audit_broken": Advice(
        503,
        "The audit trail is not whole, so nothing is signed.",
        "`strongroom audit verify` says where; restore the backup or see docs/audit.md.",
    ),
    "incomplete": Advice(
        0, "Some of the work failed, and is tried again.", "Read the component's message in `/health`."
    ),
    "outcome_unknown": Advice(
        504,
        "It was signed, and the ledger has not confirmed it yet.",
        "Do not pay again: ask for its state, or repeat with the same Idempotency-Key.",
    ),
    "database_commit_unknown": Advice(
        504,
        "The connection broke during the commit: it may have been done.",
        "Look, or repeat with the same Idempotency-Key.",
    ),
    "intent_gone": Advice(
        404,
        "The signed payload was deleted from the database while its outcome was open.",
        "Look the payment up in an explorer; find who deleted the row.",
    ),
    "internal": Advice(500, "A defect; the log has a traceback.", "Report it with the request's id."),
    "error": Advice(500, "A defect; the log has more.", "Report it with the request's id."),
    "database_refused": Advice(
        500,
        "The database refuses a statement; the log has its words.",
        "If its schema was changed by hand, undo that; else report it.",
    ),
    "schema_unfit": Advice(
        0,
        "The database's schema is not the one of this version.",
        "`strongroom migrate`, or run the version that made it.",
    ),
    "schema_in_use": Advice(
        0,
        "Running processes do not bear what the start or `migrate` would make of the schema. Nothing was changed.",
        "Stop the processes that the message names, then start again.",
    ),
    "schema_newer": Advice(
        503,
        "A newer version changed the schema under this process, which writes and signs nothing more.",
        "Stop this process, and start the new version.",
    ),
    "connections": Advice(
        503,
        "Too many connections of all clients are open.",
        "Raise `STRONGROOM_CONNECTIONS`, or add a process.",
    ),
    "peer_connections": Advice(
        503,
        "Too many connections of one address are open.",
        "Close some; name a proxy in `STRONGROOM_TRUSTED_PROXIES`.",
    ),
    "malformed": Advice(400, "It is no HTTP request.", "Does the client speak TLS to a port that does not?"),
    "line_too_long": Advice(414, "The URL is too long.", "Send a shorter one."),
    "head_too_large": Advice(431, "The headers are too large or too many.", "Send fewer."),
    "framing": Advice(431, "The chunks of the body have more framing than content.", "Send larger chunks."),
    "head_timeout": Advice(
        408,
        "The request's head did not come in time.",
        "Look at the network; raise `STRONGROOM_HEAD_TIMEOUT_S`.",
    ),
    "body_timeout": Advice(
        408, "The body did not come in time.", "Look at the network; raise `STRONGROOM_BODY_TIMEOUT_S`."
    ),
    "body_too_large": Advice(413, "The body is too large.", "Send a smaller one."),
}
