"""The scopes of the Atto API."""

from strongroom.core.security.access import EXPORT_RIGHT, export_scope

READ = "atto:read"
WALLET = "atto:wallet"
ACCOUNT = "atto:account"
SEND = "atto:send"
CHANGE = "atto:change"
EXPORT = f"atto:{EXPORT_RIGHT}"

SCOPES = {
    READ: "read wallets, accounts, entries and totals",
    WALLET: "create, import, lock and unlock wallets, change their keys",
    ACCOUNT: "create, recover, label, enable and disable accounts",
    SEND: "send",
    CHANGE: "change representatives",
    **export_scope("atto"),
}
