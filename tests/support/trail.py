"""The secret of the audit trails that tests make without a ledger around them."""

from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.vault import KeyEncryptionKey
from support.keys import KEY

SECRET = bytes(range(32))


def open_trail() -> TrailKey:
    """The same secret in every process, so that several write one trail."""
    return TrailKey(SECRET)


def trail_of_service() -> TrailKey:
    """That of a service which began with `KEY`, for people who act beside it."""
    return TrailKey(KeyEncryptionKey(bytes.fromhex(KEY)).derive(b"strongroom trail v1"))
