"""Posts every entry of every account to CALLBACK_URL, in the order of heights. Accounts do not wait for each other.

`notification_state` is the original's progress table, and its meaning stays the same: an adopted database continues where it
stopped, and the original can continue later. Without a CALLBACK_URL the progress still advances, as in the original, so
that a URL that is set later gets only what happens from then on.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

import msgspec
import structlog
from sqlalchemy import Connection, delete, select

from strongroom.atto import tables
from strongroom.atto.history.entries import load_entry
from strongroom.atto.history.views import entry_view
from strongroom.atto.protocol import AccountEntry, Address
from strongroom.core.chunks import chunks
from strongroom.core.clock import Clock, Entropy
from strongroom.core.coordination.loops import LoopContext
from strongroom.core.environment import Secret
from strongroom.core.errors import Unavailable
from strongroom.core.http.outbound.client import HttpClient, OutboundError
from strongroom.core.intents.steps import log_told
from strongroom.core.intents.store import load_intent, record_told
from strongroom.core.json_decoder import decode_json
from strongroom.core.messaging.outbox import Destination, Dispatcher, Event, Outbox
from strongroom.core.runtime.telemetry import ComponentHealth, Metrics, Status
from strongroom.core.storage import tables as core_tables
from strongroom.core.storage.database import Database, upsert_highest

log = structlog.get_logger(__name__)

DESTINATION = "atto.callback"
TIMEOUT_S = 30.0
QUIET_TICK_S = 1.0
MISSED_CHUNK = 500
ACCOUNTS_AT_ONCE = 500


class Callbacks:
    """Queues callbacks in the transactions that store entries, and delivers them."""

    def __init__(
        self,
        *,
        url: str | None,
        header: tuple[str, Secret] | None,
        database: Database,
        outbox: Outbox,
        clock: Clock,
        entropy: Entropy,
        metrics: Metrics,
    ) -> None:
        self._url = url
        self._header = header
        self._database = database
        self._outbox = outbox
        self._advanced: set[str] = set()
        """Without a URL, the accounts for which this process has committed entries since the last advance."""
        self._missing: dict[str, int] = {}
        """By account, the lowest height whose callbacks could not be queued."""
        self._dispatcher = Dispatcher(
            Destination(name=DESTINATION, deliver=self._deliver, delivered=partial(_delivered, clock)),
            database=database,
            outbox=outbox,
            clock=clock,
            entropy=entropy,
        )
        self._client = HttpClient({"Content-Type": "application/json"})
        self._clock = clock
        self._count = metrics.counter("strongroom_atto_callbacks", "Callbacks by result.", ("result",))
        self._last = metrics.reading(
            "strongroom_atto_callback_last_success_timestamp_seconds",
            "When this process last delivered a callback, in seconds since 1970; absent: it has delivered none.",
        )

    async def close(self) -> None:
        await self._client.close()

    def announce(self, connection: Connection, entries: Sequence[AccountEntry]) -> None:
        """Queues new entries, in the transaction that stores them. `entries_stored` follows."""
        if self._url is not None:
            self._outbox.append(connection, DESTINATION, [_event(entry) for entry in entries])

    def untold(
        self, connection: Connection, address: Address, entries: Sequence[AccountEntry]
    ) -> list[AccountEntry]:
        """Those of these older entries that neither the original nor this service has told yet."""
        columns = tables.notification_state.c
        notified = (
            connection.execute(select(columns.height).where(columns.address == address.path)).scalar() or 0
        )
        return [entry for entry in entries if entry.height > notified]

    def entries_stored(self, address: Address) -> None:
        """Wakes the delivery of an account's entries, after the transaction that announced them."""
        if self._url is None:
            self._advanced.add(address.path)
        else:
            self._outbox.wake_delivery(DESTINATION, address.path)

    async def run(self, context: LoopContext) -> None:
        """Delivers until cancelled. It runs under a lease, so that no entry is delivered by two processes."""
        if self._url is None:
            await self._drop_leftovers()
            context.health.succeeded("CALLBACK_URL is not set")
            await asyncio.Event().wait()
        else:
            await self._queue_missed()
            await self._dispatcher.run(context.health)

    def rest(self) -> None:
        """Forgets failed deliveries, because another process delivers now."""
        self._missing.clear()
        self._last.hide(DESTINATION)
        self._dispatcher.rest()

    def deliveries(self) -> ComponentHealth:
        if self._missing:
            detail = (
                f"{len(self._missing)} accounts have entries that are told to nobody: they are not stored"
            )
            return ComponentHealth(status=Status.DEGRADED, detail=detail)
        return self._dispatcher.check()

    async def _deliver(self, event: Event) -> None:
        headers = {self._header[0]: self._header[1].reveal()} if self._header else None
        try:
            answer = await self._client.ask(
                "POST",
                self._url or "",
                data=event.payload.encode(),
                headers=headers,
                timeout_s=TIMEOUT_S,
                reads_content=False,
            )
        except OutboundError as error:
            self._count.labels("failed").inc()
            raise Unavailable(f"the callback URL does not answer ({error})") from None
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            self._count.labels("refused").inc()
            raise Unavailable(f"the callback URL answered with status {answer.status}")
        self._count.labels("delivered").inc()
        self._last.show(DESTINATION, [((), self._clock.now_ms() / 1000)])

    async def _queue_missed(self) -> None:
        """Queues entries that were stored without a URL by a process that died before it advanced the progress."""
        self._missing.clear()
        heights = select(tables.chain.c.address, tables.chain.c.entry_height)
        progress = select(tables.notification_state.c.address, tables.notification_state.c.height)
        notified = {row.address: row.height for row in await self._database.fetch_all(progress)}
        for row in await self._database.fetch_all(heights):
            first = notified.get(row.address, 0) + 1
            while first <= row.entry_height:
                entries = await self._stored(row.address, first)
                if not entries:
                    self._missing[row.address] = first
                    log.error("an entry to tell of is not stored", address=row.address, height=first)
                    break
                await self._database.write(partial(self.announce, entries=entries))
                first = entries[-1].height + 1

    async def _stored(self, path: str, first: int) -> list[AccountEntry]:
        columns = tables.entry.c
        query = (
            select(tables.entry)
            .where(columns.address == path, columns.height >= first)
            .order_by(columns.height)
            .limit(MISSED_CHUNK)
        )
        public_key = Address.parse(path).public_key
        return [load_entry(row, public_key) for row in await self._database.fetch_all(query)]

    async def advance(self) -> None:
        """Without a URL, advances the progress to the entries that are stored. Every process does so for those that it stored."""
        paths, self._advanced = self._advanced, set()
        try:
            for some in chunks(sorted(paths), ACCOUNTS_AT_ONCE):
                await self._database.write(partial(_advance_to_stored, paths=some))
        except BaseException:
            self._advanced |= paths  # the next call stores them
            raise

    async def _drop_leftovers(self) -> None:
        leftover = delete(core_tables.outbox).where(core_tables.outbox.c.destination == DESTINATION)
        dropped = await self._database.write(lambda connection: connection.execute(leftover).rowcount)
        if dropped:
            log.warning("CALLBACK_URL is not set any more: undelivered callbacks were dropped", count=dropped)


def _event(entry: AccountEntry) -> Event:
    return Event(
        stream=Address(public_key=entry.public_key).path,
        sequence=entry.height,
        payload=msgspec.json.encode(entry_view(entry)).decode(),
    )


def _delivered(clock: Clock, connection: Connection, event: Event) -> None:
    block_hash = bytes.fromhex(decode_json(event.payload)["hash"])
    record_told(connection, block_hash, event.attempts + 1, clock.now_ms())
    if (intent := load_intent(connection, block_hash)) is not None:
        log_told("atto", intent, "CALLBACK_URL")
    _advance_to(connection, [_progress(event.stream, event.sequence)])


def _advance_to_stored(connection: Connection, paths: Sequence[str]) -> None:
    columns = tables.chain.c
    stored = connection.execute(
        select(columns.address, columns.entry_height).where(columns.address.in_(paths))
    ).all()
    if stored:
        _advance_to(connection, [_progress(row.address, row.entry_height) for row in stored])


def _advance_to(connection: Connection, rows: Sequence[dict[str, object]]) -> None:
    """Raises the progress and never lowers it, because a paused process may store an old height late."""
    upsert_highest(connection, tables.notification_state, rows, "height")


def _progress(path: str, height: int) -> dict[str, object]:
    return {"address": path, "version": 0, "height": height}
