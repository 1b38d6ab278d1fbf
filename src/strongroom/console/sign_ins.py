"""Who is signed in: sessions in the databases of the ledgers where their tokens stand, and links that sign in once."""

import base64
import binascii
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from strongroom.admin.estate import Estate
from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import RateLimited, StrongroomError, Unavailable
from strongroom.core.security.sessions.stored import SECRET_BYTES, Session, Sessions, new_session

LINK_S: Final = 15 * 60.0
MAX_LINKS: Final = 100
CODE_BYTES: Final = 32


class SignIns:
    """Opens, finds and ends sessions. A session stands where its token stands, so any replica of such a ledger knows it."""

    def __init__(self, estate: Estate, clock: Clock, entropy: Entropy, session_ms: int) -> None:
        self._estate = estate
        self._clock = clock
        self._entropy = entropy
        self._session_ms = session_ms

    async def open(self, token: str, ledgers: Iterable[str]) -> Session:
        """A session of a token that stands on these ledgers. Raises: Unavailable: none of them could store it."""
        session = new_session(self._entropy, token, self._clock.now_ms() + self._session_ms)
        error: StrongroomError | None = None
        is_kept = False
        for name in ledgers:
            try:
                await self._of(name).keep(session)
                is_kept = True
            except Unavailable as caught:
                error = caught
        if not is_kept and error is not None:
            raise error
        return session

    async def find(self, secret: bytes) -> Session | None:
        """None: whoever answers knows no such session. Raises: Unavailable: nobody knows it, and somebody does not answer."""
        away: StrongroomError | None = None
        for name in self._estate.names:
            try:
                found = await self._of(name).find(secret)
            except Unavailable as error:
                away = error
                continue
            if found is not None:
                return found
        if away is not None:
            raise away
        return None

    async def end(self, session: Session) -> None:
        """Everywhere. Raises: Unavailable: a ledger does not answer, and may know it when it does again."""
        away: StrongroomError | None = None
        for name in self._estate.names:
            try:
                await self._of(name).end(session.id)
            except Unavailable as error:
                away = error
        if away is not None:
            raise away

    def _of(self, name: str) -> Sessions:
        return Sessions(self._estate.find(name).database, self._clock, self._entropy)


class OneTimeLinks:
    """Codes that sign in once, within minutes, in the memory of this process. A code stands for a token."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._tokens: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def make(self, token: str) -> str:
        code = encode_secret(self._entropy.token(CODE_BYTES))
        self._tokens[code] = (token, self._clock.monotonic_s() + LINK_S)
        while len(self._tokens) > MAX_LINKS:
            self._tokens.popitem(last=False)
        return code

    @contextmanager
    def using(self, code: str) -> Iterator[str | None]:
        """The code's token; from now on the code is nobody's. None: it is no code, was used, or its time is over.

        Whoever could not be asked about the token, or not now, has not used the code: it counts again.
        """
        token, ends_s = self._tokens.pop(code, (None, 0.0))
        try:
            yield token if ends_s > self._clock.monotonic_s() else None
        except (RateLimited, Unavailable):
            if token is not None:
                self._tokens[code] = token, ends_s
            raise


def encode_secret(secret: bytes) -> str:
    return base64.urlsafe_b64encode(secret).decode().rstrip("=")


def decode_secret(text: str) -> bytes | None:
    """None: no session has such a secret."""
    try:
        secret = base64.b64decode(text[:100] + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    return secret if len(secret) == SECRET_BYTES else None
