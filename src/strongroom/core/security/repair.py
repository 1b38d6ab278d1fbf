"""Carries out an operator's decision about sealed rows that the service refuses: accept a row as it is, or give up its secret.

Both are recorded in the audit trail. The service never does either by itself.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, select

from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import Conflict, InvalidInput, NotFound, VaultError
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import ABANDONED, ACCEPTED, Bindings, HeldRow
from strongroom.core.security.custody.backends import KeySupply
from strongroom.core.security.holdings import Holdings, problems_of, was_bound
from strongroom.core.security.keys.local import make_secret_file
from strongroom.core.security.keys.ring import TRAIL, KeyRing
from strongroom.core.security.keys.secrets import renew_secrets
from strongroom.core.security.keys.source import FoundKey
from strongroom.core.security.keys.versions import (
    KeyState,
    active_of,
    load_versions,
    lock_state,
    set_active,
    set_key_check,
)
from strongroom.core.security.trail.lanes import exclude_signatures
from strongroom.core.security.trail.restart import LastCheckpoint
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database

KEY_LOST: Final = "the key-encryption key that the secret was sealed under is not here any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExaminedRow:
    """One row and its problems; None where there is no problem."""

    row: HeldRow
    content: str | None
    """What is wrong with its secret: it does not open, or does not match the database."""
    binding: str | None
    """What is wrong with its tag: the row is not as the service wrote it."""
    is_bound: bool = True
    """False: the database was never bound; the service binds it at its next start."""

    @property
    def words(self) -> str | None:
        return self.content or self.binding


class Repair:
    """Examines and repairs the sealed rows of one ledger, with the configured key."""

    def __init__(
        self,
        supply: KeySupply,
        database: Database,
        holdings: Holdings,
        audit: Audit,
        last_checkpoint: Callable[[Connection], LastCheckpoint],
        *,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """The key that `audit` writes with is opened when something is written.

        `last_checkpoint` finds the one that the trail's first row names if the trail has to begin anew.
        """
        self.has_restarted = False
        """Whether the audit trail began anew, because its secret is lost too."""
        self._clock = clock
        self._entropy = entropy
        self._supply = supply
        self._source = supply.source
        self._database = database
        self._holdings = holdings
        self._audit = audit
        self._last_checkpoint = last_checkpoint

    async def look(self) -> list[ExaminedRow]:
        """The problems that the service would find in each row.

        Raises:
            VaultError: there is no key.
        """
        examined = await self._look(await self._ring(await self._found()))
        if await self._database.read(was_bound):
            return examined
        return [replace(one, binding=None, is_bound=False) for one in examined]

    async def accept(self, names: Collection[str] | None) -> list[str]:
        """Binds the named rows as they are, whoever wrote them; with None, all rows whose secret is right.

        Returns the names of the rows that had a problem with their tags before.

        Raises:
            NotFound: there is no such row.
            VaultError: there is no key, or the secret of a named row is wrong.
        """
        ring = await self._ring(await self._found())
        examined = await self._look(ring)
        chosen = self._chosen(examined, names)
        await self._require_all_if_rebound(ring, names)
        wrong = [one for one in chosen if one.content is not None]
        if wrong and (names is not None or len(wrong) == len(examined)):
            listed = "; ".join(f"{one.row.name} {one.content}" for one in wrong)
            raise VaultError(f"Not accepted: {listed}. Put the right key or row back, or abandon it")
        accepted = [one for one in chosen if one.content is None and one.binding is not None]

        def work(connection: Connection, bindings: Bindings) -> None:
            self._bind(connection, bindings, accepted, ACCEPTED)

        await self._write(ring, examined, work)
        return [one.row.name for one in accepted]

    async def abandon(self, names: Collection[str] | None) -> list[str]:
        """Deletes the secrets that do not open, of the named rows or, with None, of all rows. Makes a key file if there is none.

        Raises:
            NotFound: there is no such row.
            Conflict: the secret of a named row opens.
        """
        ring = await self._ring(await self._found_or_made())
        examined = await self._look(ring)
        chosen = self._chosen(examined, names)
        good = [one.row.name for one in chosen if one.content is None]
        if names is not None and good:
            raise Conflict(f"Not abandoned: {', '.join(good)} opens with the configured key")
        await self._require_all_if_rebound(ring, names)
        lost = [one for one in chosen if one.content is not None]
        rest = [] if names is not None else [one for one in examined if one.content is None and one.binding]

        def work(connection: Connection, bindings: Bindings) -> None:
            for one in lost:
                left = self._holdings.give_up(connection, one.row)
                why = {"why": one.content}
                sequence = self._audit.append(connection, OPERATOR, ABANDONED, left.name, why)
                bindings.bind(connection, [left], sequence)
            self._bind(connection, bindings, rest, ACCEPTED)

        await self._write(ring, examined, work)
        return [one.row.name for one in lost]

    def _bind(
        self, connection: Connection, bindings: Bindings, examined: Sequence[ExaminedRow], action: str
    ) -> None:
        for one in examined:
            sequence = self._audit.append(connection, OPERATOR, action, one.row.name, {"why": one.binding})
            bindings.bind(connection, [one.row], sequence)

    async def _look(self, ring: KeyRing) -> list[ExaminedRow]:
        bindings = Bindings(ring, self._holdings.kind)

        def work(connection: Connection) -> tuple[Sequence[HeldRow], dict[str, str]]:
            rows = self._holdings.rows(connection, in_full=True)
            return rows, bindings.problems(connection, rows)

        rows, unbound = await self._database.read(work)
        content = await problems_of(self._holdings, ring, rows)
        return [
            ExaminedRow(row=row, content=content.get(row.name), binding=unbound.get(row.name)) for row in rows
        ]

    async def _write(
        self,
        ring: KeyRing,
        examined: Sequence[ExaminedRow],
        work: Callable[[Connection, Bindings], None],
    ) -> None:
        bindings = Bindings(ring, self._holdings.kind)
        seen = {one.row.name: one.row.values for one in examined}

        def unit(connection: Connection) -> None:
            state = lock_state(connection)
            exclude_signatures(connection)
            begun = renew_secrets(connection, ring, self._entropy)
            self._audit.key.open(ring.secret(TRAIL))
            if {row.name: row.values for row in self._holdings.rows(connection)} != seen:
                raise Conflict("The rows were changed meanwhile: stop the service, or try again")
            self.has_restarted = TRAIL in begun and self._restart(connection)
            work(connection, bindings)
            check = ring.current.check()
            if state != check:
                table = self._holdings.kind.table
                facts = {"key": "changed", "version": ring.version}
                self._audit.append(connection, OPERATOR, ACCEPTED, table, facts)
                set_key_check(connection, check)
            set_active(connection, ring.version, check, self._clock.now_ms())

        await self._database.write(unit)

    def _restart(self, connection: Connection) -> bool:
        return self._audit.restart(connection, OPERATOR, KEY_LOST, self._last_checkpoint(connection))

    def _chosen(self, examined: Sequence[ExaminedRow], names: Collection[str] | None) -> list[ExaminedRow]:
        if names is None:
            return list(examined)
        by_name = {one.row.name: one for one in examined}
        unknown = [name for name in names if name not in by_name]
        if unknown:
            raise NotFound(f"There is no {self._holdings.kind.noun.lower()} {', '.join(unknown)}")
        return [by_name[name] for name in names]

    async def _require_all_if_rebound(self, ring: KeyRing, names: Collection[str] | None) -> None:
        state = await self._database.fetch_one(select(tables.binding_state))
        fits = state is not None and state.key_check == ring.current.check()
        if names is not None and not fits:
            raise InvalidInput(
                f"The database is not bound with the key in {self._source.origin}: look at every row, then use --all"
            )

    async def _ring(self, found: Sequence[FoundKey]) -> KeyRing:
        """The keys that the database knows. If the active one is not among them, the configured key is to take its place."""
        versions = await self._database.read(load_versions)
        checks = {one.key.check(): one.key for one in found}
        live = [one for one in versions if one.state is not KeyState.RETIRED]
        keys = {one.version: checks[one.check] for one in live if one.check in checks}
        active, ring = active_of(versions), KeyRing()
        if active is not None and active.version in keys:
            ring.open(keys, active.version)
            return ring
        configured = found[0].key
        known = [one.version for one in versions if one.check == configured.check()]
        version = known[0] if known else 1 + max((one.version for one in versions), default=0)
        ring.open({**keys, version: configured}, version)
        return ring

    async def _found(self, *, misses_active: bool = False) -> list[FoundKey]:
        versions = await self._database.read(load_versions)
        found = await self._supply.found(versions, misses_active=misses_active)
        if not found:
            raise VaultError(f"{self._source.file} does not exist", code="key_missing")
        return found

    async def _found_or_made(self) -> list[FoundKey]:
        """For what no key opens any more, as when its backend is lost and was taken out of the variables."""
        versions = await self._database.read(load_versions)
        if not await self._supply.found(versions, misses_active=True):
            make_secret_file(self._source.file, self._entropy)
        return await self._found(misses_active=True)
