"""The tokens of one process, without a ledger around them."""

import pytest

from strongroom.core.clock import Clock, Entropy
from strongroom.core.coordination.rate_limiter import RateLimiter
from strongroom.core.errors import Unauthenticated
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.authentication import Gatekeeper, TokenCheck
from strongroom.core.security.credentials import Credentials
from strongroom.core.security.rows.tokens import TokenRows
from strongroom.core.security.stored_tokens import NewToken
from strongroom.core.security.tokens import Tokens
from strongroom.core.security.upkeep.token_uses import TokenUses
from strongroom.core.storage.database import Database
from support.trail import open_trail

SCOPES = ("atto:read", "atto:send", "atto:*", "*")


class TokenHouse:
    """`tokens` to administer, `check` and `gate` to identify callers, `uses` to write what was noted."""

    def __init__(self, database: Database, clock: Clock, entropy: Entropy) -> None:
        audit = Audit(clock, open_trail())
        self.database = database
        self.tokens = Tokens(database, audit, clock, entropy, scopes=SCOPES)
        self.uses = TokenUses(database, audit, clock)
        self.check = TokenCheck(database, clock, self.uses, RateLimiter(clock), TokenRows(open_trail()))

    def gate(self, *, required: bool = True) -> Gatekeeper:
        return Gatekeeper(self.check, required=required)

    async def principal(self, presented: str, source: str = "") -> Principal:
        return await self.check.authenticate(presented, source)

    async def refusal(self, presented: str) -> str:
        with pytest.raises(Unauthenticated) as raised:
            await self.principal(presented)
        return raised.value.message


def bearing(new: NewToken, source: str = "") -> Credentials:
    return Credentials(authorization=f"Bearer {new.secret}", source=source)
