"""The entries of accounts: stored, listed, announced to the callback URL."""
