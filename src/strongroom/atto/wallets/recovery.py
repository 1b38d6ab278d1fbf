"""Finds the used accounts of a mnemonic: scans its indexes until enough of them in a row are unused.

An account is used when it is open or has a receivable. As in the original server, a scan starts at the highest known index,
and creates the whole gap when it finds no used account. The accounts that such a scan creates are guesses. They do not count
as known until they are used, so that repeating the recovery changes nothing.
"""

import asyncio
import contextlib
from contextlib import aclosing
from dataclasses import dataclass

import structlog
from sqlalchemy import func, or_, select

from strongroom.atto import tables
from strongroom.atto.gateway import Node
from strongroom.atto.protocol import MAX_KEY_INDEX, AccountKeys, AccountState, Address
from strongroom.atto.wallets.accounts import Accounts, Derived, derive
from strongroom.atto.wallets.rows import unknown_wallet
from strongroom.atto.wallets.scan_progress import Progress, ScanProgress
from strongroom.core.errors import NotFound
from strongroom.core.security.access import Principal
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

CHUNK = 200
CHUNKS_AT_ONCE = 4
# The receivables stream never ends, and does not mark where the stored receivables end and new ones begin. After this
# long a silence the scan takes the stored ones as complete.
SILENCE_S = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What the scan found at one index."""

    account: Derived
    opened: bool
    used: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    from_index: int
    to_index: int
    scanned_count: int
    gap_count: int
    accounts: list[Scanned]
    """The accounts of from_index to to_index."""
    limit_reached: bool
    """Whether the scan stopped at ATTO_SCAN_LIMIT before the gap was complete; the next recovery continues there."""
    existing: frozenset[int]
    """The indexes whose accounts existed before."""


class Recoverer:
    """Scans for used accounts and creates them."""

    def __init__(self, *, accounts: Accounts, node: Node, database: Database, progress: ScanProgress) -> None:
        self._accounts = accounts
        self._node = node
        self._database = database
        self._progress = progress

    async def recover(self, principal: Principal, wallet_name: str, gap_limit: int) -> Recovery:
        """Scans until `gap_limit` indexes in a row are unused, and creates the accounts up to the last used one.

        Raises:
            NotFound, Locked: the wallet cannot be used.
            Unavailable: the node does not answer.
            InvalidInput: the gap is above ATTO_SCAN_LIMIT.
        """
        self._accounts.require_within_limit(gap_limit)
        try:
            keys, existing = await self._accounts.open_wallet(wallet_name)
        except NotFound:
            raise unknown_wallet(wallet_name) from None
        first = await self._highest_known(wallet_name)
        with self._progress.track(wallet_name, "recovery") as scan:
            most = self._progress.limit + (
                first in existing
            )  # an account that exists does not count against the limit
            scanned = await self._scan(wallet_name, keys, range(first, first + most), gap_limit, scan)
            used = [one.account.index for one in scanned if one.used]
            last = used[-1] if used else scanned[-1].account.index
            await self._create(principal, wallet_name, keys, existing, last, guess=not used)
        return Recovery(
            from_index=first,
            to_index=last,
            scanned_count=len(scanned),
            gap_count=scanned[-1].account.index - used[-1] if used else len(scanned),
            accounts=[one for one in scanned if one.account.index <= last],
            limit_reached=scan.limit_reached is True,
            existing=frozenset(existing),
        )

    async def _highest_known(self, wallet_name: str) -> int:
        columns = tables.chain.c
        receivable = select(tables.receivable.c.address)
        query = select(func.max(columns.account_index)).where(
            columns.wallet_name == wallet_name,
            or_(columns.origin != "RECOVERED", columns.height > 0, columns.address.in_(receivable)),
        )
        row = await self._database.fetch_one(query)
        return 0 if row is None or row[0] is None else int(row[0])

    async def _scan(
        self, wallet_name: str, keys: AccountKeys, allowed: range, gap_limit: int, scan: Progress
    ) -> list[Scanned]:
        """Scans the allowed indexes until the gap is long enough; several chunks at a time, each of `CHUNK` at most."""
        scanned: list[Scanned] = []
        gap = 0
        step = min(gap_limit, CHUNK)
        while True:
            start = allowed.start + len(scanned)
            starts = range(start, start + max(gap_limit - gap, 1), step)[:CHUNKS_AT_ONCE]
            stop = min(start + gap_limit - gap, allowed.stop, MAX_KEY_INDEX + 1)
            chunks = [range(one, min(one + step, stop)) for one in starts if one < stop]
            results = await asyncio.gather(*(self._scan_chunk(keys, chunk) for chunk in chunks))
            for one in (one for result in results for one in result):
                scanned.append(one)
                gap = 0 if one.used else gap + 1
                scan.found += one.used
            scan.done = len(scanned)
            self._progress.advanced(wallet_name, scan)
            if gap >= gap_limit or allowed.start + len(scanned) > MAX_KEY_INDEX:
                return scanned
            if len(scanned) >= len(allowed):
                scan.limit_reached = True
                log.warning("recovery stopped at ATTO_SCAN_LIMIT; repeat it to go on", wallet=wallet_name)
                return scanned

    async def _scan_chunk(self, keys: AccountKeys, indexes: range) -> list[Scanned]:
        accounts = await asyncio.to_thread(derive, keys, indexes)
        addresses = [one.address for one in accounts]
        states, with_receivable = await self._ask(addresses)
        opened = {state.public_key for state in states}
        return [
            Scanned(
                account=one,
                opened=one.address.public_key in opened,
                used=one.address.public_key in opened or one.address.public_key in with_receivable,
            )
            for one in accounts
        ]

    async def _ask(self, addresses: list[Address]) -> tuple[list[AccountState], set[bytes]]:
        """The states of the open accounts, and the public keys of the accounts with a receivable."""
        states = asyncio.ensure_future(self._node.accounts(addresses))
        try:
            with_receivable = await self._with_receivables(addresses, states)
            return await states, with_receivable
        finally:
            states.cancel()

    async def _with_receivables(
        self, addresses: list[Address], states: asyncio.Future[list[AccountState]]
    ) -> set[bytes]:
        """Reads the receivables stream until it is silent.

        Silence counts only after the node has answered the question for the states: before that, a slow node may be silent
        simply because it is slow.
        """
        found: set[bytes] = set()
        limit = asyncio.timeout(None)

        def listen_on(_: object = None) -> None:
            limit.reschedule(asyncio.get_running_loop().time() + SILENCE_S)

        with contextlib.suppress(TimeoutError):
            async with limit, aclosing(self._node.receivables(addresses, 1)) as stream:
                states.add_done_callback(listen_on)
                try:
                    async for receivable in stream:
                        found.add(receivable.receiver_public_key)
                        if states.done():
                            listen_on()
                finally:
                    states.remove_done_callback(listen_on)
        return found

    async def _create(
        self,
        principal: Principal,
        wallet_name: str,
        keys: AccountKeys,
        existing: dict[int, str],
        last: int,
        *,
        guess: bool,
    ) -> None:
        created: list[Address] = []
        for start in range(0, last + 1, CHUNK):
            indexes = range(start, min(start + CHUNK, last + 1))
            origin = "RECOVERED" if guess else "CREATED"
            made = await self._accounts.ensure(principal, wallet_name, keys, existing, indexes, origin)
            created += [one.address for one in made if one.index not in existing]
        await self._accounts.announce(created)
        log.info("wallet recovered", wallet=wallet_name, accounts=last + 1, created=len(created))
