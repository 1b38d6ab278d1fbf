"""What operators see of a ledger's wallets: the same questions to every ledger, each answered with a bounded page."""
