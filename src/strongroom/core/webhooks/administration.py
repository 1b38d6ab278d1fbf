"""What people do with endpoints: each change is one transaction, with its row in the audit trail."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection

from strongroom.core.announcements import Announcement
from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import InvalidInput, NotFound
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage.database import Database
from strongroom.core.webhooks import queue, store
from strongroom.core.webhooks.announcer import event_document, new_event_id
from strongroom.core.webhooks.endpoint import Endpoint, EndpointSecret, EndpointState, Private, Wanted
from strongroom.core.webhooks.kinds import CODE, TEST, Catalogue, check_patterns
from strongroom.core.webhooks.queue import EventState, QueuedEvent, QueueState
from strongroom.core.webhooks.sealing import EndpointSealing
from strongroom.core.webhooks.sender import Answer, Senders
from strongroom.core.webhooks.signatures import new_secret

ID_BYTES: Final = 8
MAX_NAME: Final = 64
MAX_WALLETS: Final = 100
MAX_WALLET: Final = 255
MAX_PAGE: Final = 500
DAY_S: Final = 86_400
MAX_OVERLAP_S: Final = 30 * DAY_S
MAX_SECRETS: Final = 5
_ID: Final = re.compile(rf"[0-9a-f]{{{2 * ID_BYTES}}}")
ALL_STATES: Final = tuple(EventState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A new endpoint, or a new secret of one. Nothing shows the secret again."""

    endpoint: Endpoint
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    endpoint: Endpoint
    queue: QueueState


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointChange:
    """What is changed of an endpoint; None stays."""

    url: str | None = None
    kinds: Iterable[str] | None = None
    wallets: Iterable[str] | None = None
    is_active: bool | None = None


class WebhookAdministration:
    """The endpoints of one ledger."""

    def __init__(
        self,
        catalogue: Catalogue,
        database: Database,
        *,
        audit: Audit,
        sealing: EndpointSealing,
        senders: Senders,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._catalogue = catalogue
        self._database = database
        self._audit = audit
        self._sealing = sealing
        self._senders = senders
        self._reach = senders.reach
        self._clock = clock
        self._entropy = entropy

    async def add(
        self,
        principal: Principal,
        name: str,
        url: str,
        *,
        kinds: Iterable[str] = (),
        wallets: Iterable[str] = (),
    ) -> Created:
        """Raises: InvalidInput, Conflict: the name is taken, or there are too many; Sealed."""
        shown_url = self._reach.check_url(url).shown
        wanted = self._wanted(kinds, wallets)
        secret = new_secret(self._entropy)
        endpoint_id = self._entropy.token(ID_BYTES).hex()
        private = Private(url=url, secrets=(EndpointSecret(secret=secret),))
        endpoint = Endpoint(
            id=endpoint_id,
            name=_checked_name(name),
            shown_url=shown_url,
            wanted=wanted,
            sealed=self._sealing.seal(endpoint_id, shown_url, wanted, private),
            state=EndpointState.ACTIVE,
            reason=None,
            created_at_ms=self._clock.now_ms(),
            created_by=principal.name,
            version=1,
        )

        def work(connection: Connection) -> None:
            store.insert_endpoint(connection, endpoint)
            details = {"name": endpoint.name, "url": shown_url, **_told(wanted)}
            self._audit.append(connection, principal, "webhook.add", endpoint_id, details)

        await self._database.write(work)
        return Created(endpoint=endpoint, secret=secret)

    async def list(self) -> Sequence[EndpointStatus]:
        """The oldest first."""

        def work(connection: Connection) -> list[EndpointStatus]:
            endpoints = store.load_endpoints(connection)
            states = queue.queue_states(connection, [one.id for one in endpoints])
            return [EndpointStatus(endpoint=one, queue=states.get(one.id, QueueState())) for one in endpoints]

        return await self._database.read(work)

    async def show(self, name: str) -> EndpointStatus:
        """By name or id. Raises: NotFound."""
        endpoint = await self._database.read(lambda connection: self._find(connection, name))
        found = {one.endpoint.id: one for one in await self.list()}
        return found.get(endpoint.id) or EndpointStatus(endpoint=endpoint, queue=QueueState())

    async def change(self, principal: Principal, name: str, change: EndpointChange) -> Endpoint:
        """What waits goes on, at once. Raises: NotFound, InvalidInput, Sealed, VaultError."""
        shown_url = None if change.url is None else self._reach.check_url(change.url).shown

        def work(connection: Connection) -> Endpoint:
            before = self._find(connection, name, lock=True)
            wanted = self._wanted(
                before.wanted.kinds if change.kinds is None else change.kinds,
                before.wanted.wallets if change.wallets is None else change.wallets,
            )
            after = replace(before, wanted=wanted, shown_url=shown_url or before.shown_url)
            private = self._open(before)
            if change.url is not None:
                private = replace(private, url=change.url)
            if change.is_active is not None:
                state = EndpointState.ACTIVE if change.is_active else EndpointState.DISABLED
                after = replace(after, state=state, reason=None)
            after = self._update(connection, after, private)
            queue.make_due(connection, after.id, self._clock.now_ms())
            details = {"url": after.shown_url, "state": after.state.value, **_told(after.wanted)}
            self._audit.append(connection, principal, "webhook.set", after.id, details)
            return after

        return await self._database.write(work)

    async def remove(self, principal: Principal, name: str) -> EndpointStatus:
        """With what waits for it and what is dead. Returns what there was. Raises: NotFound."""
        status = await self.show(name)

        def work(connection: Connection) -> None:
            endpoint = self._find(connection, status.endpoint.id, lock=True)
            store.delete_endpoint(connection, endpoint.id)
            queue.delete_events(connection, endpoint.id)
            details = {"name": endpoint.name, "waiting": status.queue.waiting, "dead": status.queue.dead}
            self._audit.append(connection, principal, "webhook.remove", endpoint.id, details)

        await self._database.write(work)
        return status

    async def rotate(self, principal: Principal, name: str, *, overlap_s: int = DAY_S) -> Created:
        """A new secret signs at once; those before sign beside it for the overlap.

        Raises: NotFound, InvalidInput, Sealed, VaultError.
        """
        if not 0 <= overlap_s <= MAX_OVERLAP_S:
            raise InvalidInput(f"The overlap is 0 to {MAX_OVERLAP_S} seconds", code=CODE)
        secret = new_secret(self._entropy)

        def work(connection: Connection) -> Endpoint:
            endpoint = self._find(connection, name, lock=True)
            private, now_ms = self._open(endpoint), self._clock.now_ms()
            ends_at_ms = now_ms + overlap_s * 1000
            older = [_ending(one, ends_at_ms) for one in private.secrets]
            kept = [one for one in older if one.ends_at_ms is not None and one.ends_at_ms > now_ms]
            secrets = (EndpointSecret(secret=secret), *kept[: MAX_SECRETS - 1])
            after = self._update(connection, endpoint, replace(private, secrets=secrets))
            details = {"overlapSeconds": overlap_s}
            self._audit.append(connection, principal, "webhook.rotate", after.id, details)
            return after

        return Created(endpoint=await self._database.write(work), secret=secret)

    async def test(self, principal: Principal, name: str) -> Answer:
        """Sends one signed event of the kind `webhook.test` now, beside the queue, and tells the answer.

        Raises: NotFound, Sealed, VaultError.
        """
        endpoint = await self._database.read(lambda connection: self._find(connection, name))
        private, now_ms = self._open(endpoint), self._clock.now_ms()
        event_id = new_event_id(self._entropy)
        announcement = Announcement(kind=TEST, stream="", data={"endpoint": endpoint.name})
        body = event_document(self._catalogue.ledger, event_id, announcement, now_ms).encode()
        sender = self._senders.make()
        try:
            answer = await sender.send(private.url, event_id, body, private.signing(now_ms), shows_body=True)
        finally:
            await sender.close()

        def work(connection: Connection) -> None:
            details = {"status": answer.status, "taken": answer.is_taken}
            self._audit.append(connection, principal, "webhook.test", endpoint.id, details)

        await self._database.write(work)
        return answer

    async def events(
        self,
        name: str,
        *,
        states: Sequence[EventState] = ALL_STATES,
        before: int | None = None,
        limit: int = 100,
    ) -> Sequence[QueuedEvent]:
        """The newest first, from the one before the row `before` on. Raises: NotFound."""

        def work(connection: Connection) -> Sequence[QueuedEvent]:
            endpoint = self._find(connection, name)
            return queue.list_events(connection, endpoint.id, states=states, before=before, limit=limit)

        return await self._database.read(work)

    async def replay(
        self,
        principal: Principal,
        name: str,
        *,
        event: str | None = None,
        since_ms: int = 0,
        delivered: bool = False,
    ) -> int:
        """Lets dead events wait again; `delivered`, or naming one: those that were delivered, too. Returns how many.

        Raises: NotFound: the endpoint, or the event that is named.
        """
        states = [EventState.DEAD, *([EventState.DELIVERED] if delivered or event is not None else [])]

        def work(connection: Connection) -> int:
            endpoint = self._find(connection, name, lock=True)
            now_ms = self._clock.now_ms()
            if event is not None and not queue.has_event(connection, endpoint.id, event):
                raise NotFound(
                    f"{endpoint.name} has no event {event[:64]!r}, or it was delivered long ago",
                    code="webhook_event_not_found",
                )
            count = queue.replay(
                connection, endpoint.id, now_ms, states=states, event=event, since_ms=since_ms
            )
            queue.make_due(connection, endpoint.id, now_ms)
            store.update_endpoint(connection, endpoint)
            details = {"event": event, "events": count}
            self._audit.append(connection, principal, "webhook.replay", endpoint.id, details)
            return count

        return await self._database.write(work)

    def _find(self, connection: Connection, name: str, *, lock: bool = False) -> Endpoint:
        """Each ledger has endpoints of its own, which who asks for one of another has to be told."""
        try:
            return store.find_endpoint(connection, name, lock=lock)
        except NotFound as error:
            raise NotFound(f"{error.message} on {self._catalogue.ledger}", code=error.instance_code) from None

    def _wanted(self, kinds: Iterable[str], wallets: Iterable[str]) -> Wanted:
        names = tuple(sorted(set(wallets)))
        if len(names) > MAX_WALLETS or not all(
            one and len(one) <= MAX_WALLET and one.isprintable() for one in names
        ):
            raise InvalidInput(f"An endpoint has at most {MAX_WALLETS} names of wallets", code=CODE)
        return Wanted(kinds=check_patterns(kinds, self._catalogue.kinds), wallets=names)

    def _open(self, endpoint: Endpoint) -> Private:
        return self._sealing.open(endpoint.id, endpoint.shown_url, endpoint.wanted, endpoint.sealed)

    def _update(self, connection: Connection, endpoint: Endpoint, private: Private) -> Endpoint:
        sealed = self._sealing.seal(endpoint.id, endpoint.shown_url, endpoint.wanted, private)
        return store.update_endpoint(connection, replace(endpoint, sealed=sealed))


def _checked_name(name: str) -> str:
    if not (name and len(name) <= MAX_NAME and name.isprintable() and name == name.strip()):
        raise InvalidInput(f"An endpoint has a name of 1 to {MAX_NAME} printable characters", code=CODE)
    if _ID.fullmatch(name):
        raise InvalidInput("A name of 16 hexadecimal digits is taken for an endpoint's id", code=CODE)
    return name


def _told(wanted: Wanted) -> dict[str, Sequence[str]]:
    return {"kinds": wanted.kinds, "wallets": wanted.wallets}


def _ending(one: EndpointSecret, ends_at_ms: int) -> EndpointSecret:
    """It ends then, or as early as it would have."""
    ends = ends_at_ms if one.ends_at_ms is None else min(one.ends_at_ms, ends_at_ms)
    return replace(one, ends_at_ms=ends)
