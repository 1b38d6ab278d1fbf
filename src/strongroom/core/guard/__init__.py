"""Rules and freezes: what decides, beyond a caller's scopes, whether a signature is made."""
