"""Messages to the phones of wallets."""
