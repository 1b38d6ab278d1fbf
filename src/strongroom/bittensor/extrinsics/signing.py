"""Signs the next extrinsic of an account as soon as the account may sign."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from strongroom.bittensor.extrinsics.drafting import SigningKey
from strongroom.bittensor.extrinsics.effects import ExtrinsicResolver
from strongroom.bittensor.extrinsics.nonces import AccountBusy, ChainBehind
from strongroom.bittensor.extrinsics.reaped_accounts import begin_again
from strongroom.bittensor.gateway import Chain
from strongroom.core.clock import Clock
from strongroom.core.errors import Unavailable
from strongroom.core.guard.approvals.withdrawal import Withdrawals
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.signing import Draft, Signing
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import Duplicate

BUSY: Final = "account_busy"
BUSY_POLL_S: Final = 0.25


class ExtrinsicSigning:
    """Signs with the engine, and waits until the account may sign."""

    def __init__(
        self,
        *,
        chain: Chain,
        database: Database,
        signing: Signing,
        resolver: ExtrinsicResolver,
        clock: Clock,
        withdrawals: Withdrawals,
    ) -> None:
        self._chain = chain
        self._database = database
        self._signing = signing
        self._resolver = resolver
        self._clock = clock
        self.withdrawals = withdrawals

    def turn(self, key: SigningKey) -> asyncio.Lock:
        """As `Signing.turn`."""
        return self._signing.turn(key.address)

    async def sign(
        self, key: SigningKey, make_draft: Callable[[], Awaitable[Draft]], give_up_s: float
    ) -> Intent:
        """Signs and stores, or waits until `give_up_s` for what becomes of an earlier extrinsic of the account.

        It calls `make_draft` for each attempt, so that each draft has the newest state of the chain. The caller resolves the
        intent.

        Raises:
            Unavailable: the account did not become free; nothing was signed.
            What `Signing.sign` and `make_draft` raise.
        """
        began_again = False
        while True:
            try:
                return await self._signing.sign(await make_draft())
            except Duplicate:
                pass  # another process was quicker, and now its rows can be read
            except AccountBusy as found:
                self._resolver.resolve(found.intent)
            except ChainBehind as error:
                if began_again:
                    raise
                await begin_again(self._chain, self._database, key.public_key, error)
                began_again = True
                continue
            if self._clock.monotonic_s() >= give_up_s:
                raise Unavailable(
                    "An earlier call of this account was signed, and the chain has not said what became of it",
                    code=BUSY,
                )
            await self._clock.sleep(BUSY_POLL_S)
