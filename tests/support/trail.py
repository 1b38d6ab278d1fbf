"""The secret of the audit trails that tests make without a ledger around them."""

from strongroom.core.security.keys.trail_key import TrailKey

SECRET = bytes(range(32))


def open_trail() -> TrailKey:
    """The same secret in every process, so that several write one trail."""
    return TrailKey(SECRET)
