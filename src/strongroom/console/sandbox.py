"""The way into the console of a sandbox, whose operator has made no token yet: one that lives for a day, behind a link that works once."""

from collections.abc import Sequence
from typing import Final

import structlog

from strongroom.console.surface import Console
from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import StrongroomError
from strongroom.core.ledger.contract import Ledger
from strongroom.core.security.access import ADMIN, OPERATOR
from strongroom.core.security.stored_tokens import new_token

LIVES_MS: Final = 24 * 3_600_000

log = structlog.get_logger(__name__)


async def sandbox_link(
    console: Console, url: str, ledgers: Sequence[Ledger], clock: Clock, entropy: Entropy
) -> str | None:
    """Makes the token on every ledger, each with its audit row; None: no ledger could make it."""
    made = new_token(entropy)
    name = f"sandbox-console-{made.id[:8]}"
    stands = False
    for ledger in ledgers:
        try:
            await ledger.tokens.create(OPERATOR, name, [ADMIN], clock.now_ms() + LIVES_MS, made=made)
            stands = True
        except StrongroomError as error:
            log.warning("no token for the console", ledger=ledger.definition.name, reason=error.message)
    return console.link(url, made.secret) if stands else None
