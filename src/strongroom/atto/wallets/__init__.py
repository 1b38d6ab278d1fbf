"""Creates, recovers, adopts and unlocks wallets and their accounts."""
