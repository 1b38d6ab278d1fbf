"""Routes about one wallet, for who holds its token."""
