"""The scopes of the first API of the Hathor ledger."""

READ = "hathor:read"
SEND = "hathor:send"
SCOPES = {READ: "read and load wallets", SEND: "make, send and give up proposals"}
