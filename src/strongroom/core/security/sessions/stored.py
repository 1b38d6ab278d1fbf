"""Sessions of people who signed in with an API token in a browser, in the database, so that every replica knows them.

The browser has a random secret and nothing else. The row's id is a hash of it, and the row holds the API token, sealed with a key
that only this secret gives. So the row without the browser's secret is no use to anybody, nobody can make a row that counts without
a token that counts, and to delete the row ends the session everywhere. A session gives no right: each request presents its token.
"""

import hashlib
from dataclasses import dataclass, field

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, select

from strongroom.core.clock import Clock, Entropy
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage.database import Database
from strongroom.core.storage.tables import session as table

SECRET_BYTES = 32
NONCE_BYTES = 12
MAX_TOKEN = 600
"""Characters of a token that a session takes; ours have fewer than a hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An open session. The repr hides what is secret."""

    secret: bytes = field(repr=False)
    token: str = field(repr=False)
    """The whole API token."""
    expires_at_ms: int

    @property
    def id(self) -> bytes:
        return session_id(self.secret)

    @property
    def form_token(self) -> str:
        """What each form of the session's pages carries, so that no other page can send one."""
        return _derived(self.secret, b"form").hex()


class _Content(msgspec.Struct, kw_only=True):
    token: str


def session_id(secret: bytes) -> bytes:
    return _derived(secret, b"id")


def new_session(entropy: Entropy, token: str, expires_at_ms: int) -> Session:
    return Session(secret=entropy.token(SECRET_BYTES), token=token, expires_at_ms=expires_at_ms)


class Sessions:
    """The sessions in one ledger's database."""

    def __init__(self, database: Database, clock: Clock, entropy: Entropy) -> None:
        self._database = database
        self._clock = clock
        self._entropy = entropy

    async def keep(self, session: Session) -> None:
        """Stores it, and forgets those whose time is over. Raises: Unavailable."""
        row = {
            "id": session.id,
            "sealed": self._seal(session),
            "expires_at_ms": session.expires_at_ms,
        }

        def work(connection: Connection) -> None:
            connection.execute(delete(table).where(table.c.expires_at_ms <= self._clock.now_ms()))
            connection.execute(table.insert(), row)

        await self._database.write(work)

    async def find(self, secret: bytes) -> Session | None:
        """None: there is no session of this secret, or its time is over. Raises: Unavailable."""
        row = await self._database.fetch_one(select(table).where(table.c.id == session_id(secret)))
        if row is None or row.expires_at_ms <= self._clock.now_ms():
            return None
        nonce, sealed = row.sealed[:NONCE_BYTES], row.sealed[NONCE_BYTES:]
        try:
            opened = AESGCM(_derived(secret, b"key")).decrypt(nonce, sealed, _bound(row.expires_at_ms))
        except InvalidTag:
            return None
        token = decode_json(opened, _Content).token
        return Session(secret=secret, token=token, expires_at_ms=row.expires_at_ms)

    async def end(self, identifier: bytes) -> None:
        """Ends it everywhere, if there is one. Raises: Unavailable."""

        def work(connection: Connection) -> None:
            connection.execute(delete(table).where(table.c.id == identifier))

        await self._database.write(work)

    def _seal(self, session: Session) -> bytes:
        nonce = self._entropy.token(NONCE_BYTES)
        content = msgspec.json.encode(_Content(token=session.token))
        return nonce + AESGCM(_derived(session.secret, b"key")).encrypt(
            nonce, content, _bound(session.expires_at_ms)
        )


def _bound(expires_at_ms: int) -> bytes:
    """Nobody who writes into the database makes a session live longer."""
    return expires_at_ms.to_bytes(8)


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return hashlib.blake2b(secret, digest_size=32, person=b"session " + purpose).digest()
