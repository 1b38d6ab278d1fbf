"""Codes that the admin API, commands, checks and the start of the service say."""

from collections.abc import Mapping

from strongroom.core.advice import Advice

OF_ADMINISTRATION: Mapping[str, Advice] = {
    "approval_decided": Advice(409, "The request is decided already.", "Nothing: the message says how."),
    "approval_invalid": Advice(400, "The vote or the reason is not as described.", "Read the message."),
    "approval_not_found": Advice(
        404, "No request has this id.", "`strongroom approvals list` shows those that wait."
    ),
    "approval_not_yours": Advice(403, "Others decide this request.", "Ask one of those that the rule names."),
    "approval_own": Advice(403, "Nobody approves their own request.", "Ask somebody else."),
    "approval_voted": Advice(409, "This person has voted on it.", "Nothing; somebody else must vote."),
    "rule_exists": Advice(
        409, "A rule of this name has not ended.", "Choose another name, or remove that rule first."
    ),
    "rule_not_found": Advice(
        404, "No rule of this name is in force.", "`strongroom policy list` shows them."
    ),
    "rule_invalid": Advice(400, "The document is no rule.", "The message says what is wrong and where."),
    "too_many_rules": Advice(409, "There are a thousand rules.", "Remove some."),
    "question_invalid": Advice(
        400, "What the rules are asked about is not as described.", "Read the message."
    ),
    "freeze_invalid": Advice(400, "A name or a reason is missing.", "Give both."),
    "already_frozen": Advice(
        409, "It is frozen already.", "Nothing; `strongroom policy freezes` shows by whom."
    ),
    "not_frozen": Advice(404, "It is not frozen.", "Nothing; `strongroom policy freezes` shows what is."),
    "subject_not_found": Advice(
        404,
        "There is no such wallet or token to freeze.",
        "Look at the spelling: a freeze of a misspelt name stops nothing.",
    ),
    "token_exists": Advice(409, "A token had this name; names are used once.", "Choose another name."),
    "token_not_found": Advice(404, "No token has this id.", "`strongroom token list` shows them."),
    "token_certificate": Advice(
        409,
        "The token has a certificate and no secret, or the other way about.",
        "Change the one that it has.",
    ),
    "token_not_admin": Advice(
        400, "Only tokens of the admin API are the same on several ledgers.", "Name one ledger."
    ),
    "too_many_makers": Advice(
        409, "The token was made by a chain of too many tokens.", "Have one made by an earlier one."
    ),
    "more_rights": Advice(
        403,
        "The token would have more rights than the one that makes it.",
        "Ask somebody with these rights, or take them out.",
    ),
    "scope_unknown": Advice(
        400, "The ledger has no such scope.", "`strongroom token create --help` lists them."
    ),
    "limits_invalid": Advice(
        400, "The token's limits are not as described, or the ledger has none.", "Read the message."
    ),
    "network_invalid": Advice(400, "A network is not in CIDR form.", "Write as `10.0.0.0/8`."),
    "rate_invalid": Advice(400, "A rate is not as described.", "Write as the message says."),
    "overlap_invalid": Advice(400, "An overlap is at most 366 days.", "Give a shorter one."),
    "certificate_invalid": Advice(
        400, "The client certificate of a token is not as described.", "Read the message; see docs/tls.md."
    ),
    "nothing_to_change": Advice(400, "The request names nothing to change.", "Name what to change."),
    "url_invalid": Advice(400, "The URL of an endpoint is none that can be called.", "Read the message."),
    "url_not_public": Advice(
        400,
        "The URL leads into a private network.",
        "Add the network to `STRONGROOM_WEBHOOK_NETWORKS`, if that is meant.",
    ),
    "webhook_invalid": Advice(
        400,
        "A name, a kind of event, a wallet or an overlap of the endpoint is not as described.",
        "Read the message.",
    ),
    "webhook_exists": Advice(409, "An endpoint of the ledger has this name.", "Choose another name."),
    "webhook_not_found": Advice(
        404, "The ledger has no endpoint of this name or id.", "`strongroom webhook list` shows them."
    ),
    "webhook_event_not_found": Advice(
        404,
        "The endpoint has no event of this id, or has no more.",
        "`strongroom webhook deliveries` lists the events that are kept.",
    ),
    "too_many_webhooks": Advice(409, "A ledger has 64 endpoints.", "Remove one."),
    "invalid_payment_id": Advice(
        400, "This is no id of a payment.", "Write it as the list of payments shows it."
    ),
    "payment_not_found": Advice(
        404,
        "This ledger has no payment with this id.",
        "Is it another ledger's? `strongroom payments` lists them.",
    ),
    "payment_row_not_found": Advice(
        404,
        "The audit trail has no row that names the payment.",
        "`strongroom audit verify`; an earlier version may have signed it.",
    ),
    "not_covered": Advice(
        409,
        "No checkpoint covers the payment yet.",
        "Wait a minute, or make one: `strongroom audit checkpoint`.",
    ),
    "checkpoint_not_found": Advice(
        404, "There is no such checkpoint.", "`strongroom audit checkpoints` lists them."
    ),
    "checkpoints_broken": Advice(
        409,
        "What is stored contradicts a checkpoint.",
        "`strongroom audit verify` names what is wrong; find out who changed the database.",
    ),
    "checkpoint_file_unusable": Advice(
        503,
        "`STRONGROOM_CHECKPOINT_FILE` cannot be read or written.",
        "Look at the file's place, its owner and the disk.",
    ),
    "invalid_checkpoint": Advice(
        400, "What was kept elsewhere is no checkpoint.", "Give the file as it was written."
    ),
    "verification_running": Advice(
        409, "A verification goes on, with other checkpoints.", "Ask again when it is over."
    ),
    "route_closed": Advice(403, "A defect: the route declares no scope.", "Report it."),
}
OF_KEYS: Mapping[str, Advice] = {
    "wrong_key": Advice(
        0,
        "The key-encryption key is not the one of this database.",
        "Give the right one: the message names the variable or file. Never make a new one for an old database.",
    ),
    "key_missing": Advice(
        0,
        "There is no key-encryption key, or no secret for the audit trail.",
        "Set the variable that the message names, or put the file back from the backup.",
    ),
    "key_needed": Advice(
        0,
        "A replaced version of the key is not here, and rows still need it.",
        "Give it beside the new one until the rotation is done.",
    ),
    "key_file": Advice(
        0,
        "The key's file cannot be read, or other users may read it.",
        "`chmod 600`; the message names the file and what is wrong.",
    ),
    "weak_key": Advice(
        0,
        "The key is easy to guess.",
        "Make one: `openssl rand -hex 32`; for a database that has such a key see `STRONGROOM_ALLOW_WEAK_KEYS`.",
    ),
    "no_next_key": Advice(
        0,
        "No key was given that this database has not used before.",
        "Set the variable with `_NEXT` on every process.",
    ),
    "replica_without_key": Advice(
        0,
        "A live process does not have the next key.",
        "Give it to the processes that the message names, and run the command again.",
    ),
    "other_rotation": Advice(
        0,
        "Another rotation, to another key, was faster.",
        "Look which key is active: `strongroom keys list`.",
    ),
    "not_wrapped": Advice(
        0, "No version of the key is wrapped by a backend that is configured.", "Set `<LEDGER>_KEY_BACKEND`."
    ),
    "not_sealed": Advice(0, "The service is not sealed.", "Nothing."),
    "unseal_refused": Advice(
        0, "The key that was given does not open this database.", "Give the active key-encryption key."
    ),
    "key_changed": Advice(409, "What signs was changed meanwhile; nothing was signed.", "Ask again."),
    "secrets_missing": Advice(
        0, "Another program removed the secrets of the audit trail and tokens.", "Restore the database."
    ),
    "key_backend_denied": Advice(
        0,
        "The backend's credentials are wrong, or do not allow it.",
        "The message names the variable; look at the policy there.",
    ),
    "key_backend_key": Advice(
        0,
        "The backend has no such key, or it is disabled.",
        "Look at the key that `<LEDGER>_KEY_BACKEND` names.",
    ),
    "key_backend_refused": Advice(
        0,
        "The backend did not wrap this key, or not for this ledger.",
        "Is it the backend of another installation?",
    ),
    "key_backend_answer": Advice(
        0,
        "The backend answered with something that is no key; nothing was stored.",
        "Is it really Vault, KMS or the HSM?",
    ),
}
OF_COPIES: Mapping[str, Advice] = {
    "backup_damaged": Advice(0, "A file of the backup was cut or changed.", "Use another backup."),
    "backup_encrypted": Advice(
        0,
        "The backup is encrypted, and nothing to open it was given.",
        "Give `STRONGROOM_BACKUP_PASSPHRASE_FILE` or `--identity`.",
    ),
    "backup_exists": Advice(0, "The folder has a backup.", "Name a new folder."),
    "backup_incomplete": Advice(
        0, "A file or the manifest is missing.", "Use the whole folder that `strongroom backup` made."
    ),
    "backup_key_wrong": Advice(
        0, "The passphrase or identity is not the backup's.", "Give the one that it was made for."
    ),
    "backup_lacks_ledger": Advice(
        0, "The backup has not every configured ledger.", "Name those to restore: `--ledger`."
    ),
    "backup_newer": Advice(
        0, "A newer version made the backup, in another format.", "Restore with that version."
    ),
    "backup_not_encrypted": Advice(
        0,
        "A passphrase or an identity was given, and the file is plain.",
        "Was the backup made without? Then give none; else somebody put the file there.",
    ),
    "backup_not_written": Advice(
        0, "The disk is full, or cannot be written; nothing was left.", "Make room, or name another folder."
    ),
    "backup_trail_broken": Advice(
        0, "Rows of the audit trail are missing.", "Find out why before anything else: docs/audit.md."
    ),
    "copy_columns_differ": Advice(
        0, "Another program changed a table.", "Copy with the database server's own tool."
    ),
    "copy_differs": Advice(
        0, "Something wrote to the original during the copy.", "Drop the copy, stop what writes, copy again."
    ),
    "copy_incomplete": Advice(
        0, "The database is a copy that is not complete.", "Run the copy again, or drop the database."
    ),
    "copy_of_another": Advice(
        0, "The target is an incomplete copy of another database.", "Continue that one, or drop the target."
    ),
    "copy_rows_alike": Advice(
        0,
        "Two names differ only in case or spaces, and the target takes them for one.",
        "Rename one in the original.",
    ),
    "copy_target_not_empty": Advice(
        0, "The target has tables; nothing was changed.", "Name an empty database."
    ),
    "copy_value_unfit": Advice(0, "A value is too large for the target.", "Copy to the other engine."),
    "database_in_use": Advice(
        0, "A process of the service uses the database.", "Stop it; after a kill wait for 15 seconds."
    ),
}
FINDINGS: Mapping[str, Advice] = {
    "chain_broken": Advice(
        0,
        "A row of the audit trail was changed, removed, reordered or put in.",
        "Somebody wrote to the database: find out who, then docs/audit.md.",
    ),
    "rows_missing": Advice(
        0,
        "Rows that a checkpoint covers are gone.",
        "Is the database an older copy? Restore the latest backup.",
    ),
    "rows_altered": Advice(
        0,
        "Rows that a checkpoint covers are not those that it was signed for.",
        "Somebody wrote to the database: find out who.",
    ),
    "row_altered": Advice(
        0,
        "A token, rules or a request for approval is not as this service wrote it.",
        "Look at it, then `strongroom rows accept`.",
    ),
    "checkpoint_missing": Advice(0, "A checkpoint is gone.", "Is the database an older copy?"),
    "checkpoint_differs": Advice(
        0,
        "The database has another checkpoint with this number: the trail was rewritten.",
        "Find out who; the copy that was kept elsewhere is the proof.",
    ),
    "checkpoint_forged": Advice(0, "A checkpoint is not signed with the key.", "Find out who wrote it."),
    "checkpoint_chain": Advice(
        0, "A checkpoint does not continue the one before it.", "Find out who changed it."
    ),
    "checkpoint_state": Advice(
        0,
        "What the next checkpoint goes on from does not belong to the last one.",
        "Find out who changed it.",
    ),
    "payment_missing": Advice(
        0,
        "A payment that was signed is not stored any more.",
        "Look it up in an explorer; find out who removed the row.",
    ),
    "payment_altered": Advice(
        0,
        "A payment in the database is not the one that was signed.",
        "The audit trail has the true one; find out who changed it.",
    ),
    "window_altered": Advice(
        0, "A rule has counted less than was signed.", "Somebody turned a counter back: find out who."
    ),
    "trail_restarted": Advice(
        0,
        "An operator began a new audit trail here.",
        "Nothing, if you know of it; the row says who and why.",
    ),
    "not_proven": Advice(
        0, "The receipt or the checkpoint does not prove it.", "Do not rely on it; ask for another receipt."
    ),
}
