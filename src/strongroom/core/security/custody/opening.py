"""Finds the key-encryption keys that a ledger's database needs, and checks them before they are used.

A key that does not fit the database is refused: everything sealed under it would be lost when the right key is put back. For the
same reason no new key is made for a database that already contains sealed values.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import VaultError
from strongroom.core.security.bindings import Bindings, HeldRow
from strongroom.core.security.custody.backends import KeyBackends, KeySupply
from strongroom.core.security.custody.keeping import Keeping
from strongroom.core.security.custody.turned_back import Recorded, read_recorded, require_not_turned_back
from strongroom.core.security.holdings import Holdings, problems_of, require_never_bound
from strongroom.core.security.keys.local import make_secret_file
from strongroom.core.security.keys.ring import FIRST_VERSION, KeyRing
from strongroom.core.security.keys.source import FoundKey, KeySource
from strongroom.core.security.keys.versions import (
    KeyState,
    KeyVersion,
    active_of,
    add_version,
    load_versions,
)
from strongroom.core.security.vault import KeyEncryptionKey
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database

SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the database says about its keys."""

    rows: Sequence[HeldRow]
    sealed: Sequence[HeldRow]
    versions: Sequence[KeyVersion]
    has_record: bool
    """Whether the row that says which key the database is bound with is there."""
    check: bytes | None
    """The check of the key that the database is bound with."""
    tags: dict[int, int]
    """How many tags were made under each version."""
    recorded: Recorded


async def open_ring(ring: KeyRing, keeping: Keeping) -> None:
    """Opens the ring with the keys that this database needs. A new installation that was given no key gets it now.

    Raises:
        VaultError: a key is missing, wrong or weak, or other users may read it; the message says where to look.
        KeyBackendAway: a backend that wrapped one of them, or is to wrap the first, does not answer.
    """
    source, holdings, database = keeping.source, keeping.holdings, keeping.database
    held = await database.read(lambda connection: read_held(connection, holdings))
    backends, supply = keeping.backends, keeping.supply
    found = await supply.found(held.versions)
    if not found and not needs_key(held) and backends is not None and backends.newest is not None:
        held = await _wrapped_first(backends, database, holdings, keeping.clock)
        found = await supply.found(held.versions)
    if held.versions:
        keys, active = await fitting_keys(source, found, holdings, held)
        ring.open(keys, active)
        return
    key = found[0].key if found else _new_key(source, held, keeping.entropy)
    await require_fitting(source, key, holdings, held)
    ring.open({FIRST_VERSION: key}, FIRST_VERSION)
    await _register(database, key, keeping.clock)


async def _wrapped_first(
    backends: KeyBackends, database: Database, holdings: Holdings, clock: Clock
) -> Findings:
    """Has a backend wrap the first key, and records it; of several processes that start together one is faster."""
    made = await backends.make()
    first = KeyVersion(
        version=FIRST_VERSION,
        state=KeyState.ACTIVE,
        check=made.key.check(),
        created_at_ms=clock.now_ms(),
        backend=made.backend,
        wrapped=made.wrapped,
    )

    def work(connection: Connection) -> Findings:
        add_version(connection, first)  # unless another process has added one
        return read_held(connection, holdings)

    return await database.write(work)


async def fitting_keys(
    source: KeySource, found: Sequence[FoundKey], holdings: Holdings, held: Findings
) -> tuple[dict[int, KeyEncryptionKey], int]:
    """The keys of the versions that the database knows, and the version that is active.

    Raises:
        VaultError: the key of the active version, or of another one that is still needed, is not among `found`; or somebody
            turned a change of the key back.
    """
    active = active_of(held.versions)
    if active is None or (held.has_record and held.check not in {None, active.check}):
        raise VaultError(
            "The database's records of its key-encryption key (strongroom_key, strongroom_binding_state) contradict each"
            " other: another program changed the database. Restore it",
            code="wrong_key",
        )
    require_not_turned_back(held.versions, held.recorded, held.tags)
    live = [one for one in held.versions if one.state is not KeyState.RETIRED]
    checks = {one.key.check(): one.key for one in found}
    keys = {one.version: checks[one.check] for one in live if one.check in checks}
    if active.version not in keys:
        if not found:
            raise missing(source)
        require_not_known(source, found, held.versions, active)
        await require_fitting(source, found[0].key, holdings, held)
        raise _wrong(source)
    if not held.has_record:
        await require_fitting(source, keys[active.version], holdings, held)
    for one in live:
        if one.state is KeyState.REPLACED and one.version not in keys and held.tags.get(one.version):
            raise VaultError(
                f"Version {one.version} of the key-encryption key is not here, and {held.tags[one.version]} of"
                f" {len(held.rows)} {holdings.kind.noun.lower()}s still need it: set {source.variable} and"
                f" {source.variable}_NEXT to both keys, and run strongroom keys rotate {source.ledger} until it is done",
                code="key_needed",
            )
    return keys, active.version


def require_not_known(
    source: KeySource, found: Sequence[FoundKey], versions: Sequence[KeyVersion], active: KeyVersion
) -> None:
    """Says which version was given in place of the active one.

    To accept rows under such a key would lose what the active one opens.

    Raises:
        VaultError: the database knows one of the keys.
    """
    numbers = {one.check: one.version for one in versions}
    known = next((one for one in found if one.key.check() in numbers), None)
    if known is not None:
        raise VaultError(
            f"The key in {known.origin} is version {numbers[known.key.check()]} of the key-encryption key, and the database is"
            f" sealed with version {active.version}: put that one in {source.variable} or {source.file}",
            code="wrong_key",
        )


async def require_fitting(
    source: KeySource, key: KeyEncryptionKey, holdings: Holdings, held: Findings
) -> None:
    """Makes sure that the database was sealed and bound with this key.

    Raises:
        VaultError: it was sealed or bound with another key.
    """
    if held.has_record and held.check == key.check():
        return  # the key is right; a row that does not open is damaged, and is reported by its name elsewhere
    ring = KeyRing()
    ring.open({FIRST_VERSION: key}, FIRST_VERSION)
    opened = await asyncio.to_thread(lambda: sum(holdings.opens(ring, row) for row in held.sealed))
    noun = holdings.kind.noun.lower()
    if held.sealed and not opened:
        raise VaultError(
            f"The key in {source.origin} is not the one that this database was sealed with: it opens none of"
            f" {len(held.sealed)} sealed {noun}s, {_names(held.sealed)}. {_way_back(source)}",
            code="wrong_key",
        )
    if not held.has_record:
        raise VaultError(
            "The database's record of its key-encryption key (strongroom_binding_state) is missing: another program changed"
            f" the database. Restore it, or check every {noun} and run strongroom keys accept {source.ledger} --all",
            code="wrong_key",
        )
    if held.check is not None:
        raise _wrong(source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """How many rows there are, and how many of them have sealed values."""

    rows: int
    sealed: int
    is_new: bool = False
    """There is no key: the service makes it when it starts."""


async def inspect_holdings(
    source: KeySource, database: Database, holdings: Holdings, backends: KeyBackends | None = None
) -> Inspected:
    """Checks the keys and every row completely; changes nothing.

    Raises:
        VaultError: something is wrong; the message lists all of it.
        KeyBackendAway: a backend does not answer.
    """
    held = await database.read(lambda connection: read_held(connection, holdings, in_full=True))
    found = await KeySupply(source=source, backends=backends).found(held.versions)
    ring = KeyRing()
    if held.versions:
        ring.open(*await fitting_keys(source, found, holdings, held))
    elif found:
        await require_fitting(source, found[0].key, holdings, held)
        ring.open({FIRST_VERSION: found[0].key}, FIRST_VERSION)
    else:
        if needs_key(held):
            raise missing(source)
        return Inspected(rows=len(held.rows), sealed=0, is_new=True)
    problems: dict[str, str] = {}
    if held.check is not None:
        bindings = Bindings(ring, holdings.kind)
        problems = await database.read(lambda connection: bindings.problems(connection, held.rows))
    else:
        await database.read(require_never_bound)
    problems = await problems_of(holdings, ring, held.rows) | problems
    if problems:
        listed = "; ".join(f"{name} {why}" for name, why in sorted(problems.items()))
        raise VaultError(f"{len(problems)} of {len(held.rows)} {holdings.kind.noun.lower()}s: {listed}")
    return Inspected(rows=len(held.rows), sealed=len(held.sealed))


def read_held(connection: Connection, holdings: Holdings, *, in_full: bool = False) -> Findings:
    rows = holdings.rows(connection, in_full=in_full)
    state = connection.execute(select(tables.binding_state)).first()
    versions = tables.binding.c.key_version
    counts = connection.execute(select(versions, func.count()).group_by(versions))
    return Findings(
        rows=rows,
        sealed=[row for row in rows if holdings.is_sealed(row)],
        versions=load_versions(connection),
        has_record=state is not None,
        check=None if state is None else state.key_check,
        tags={version: int(count) for version, count in counts},
        recorded=read_recorded(connection, holdings.kind.table),
    )


def needs_key(held: Findings) -> bool:
    """Whether a key that is not here sealed something in this database."""
    return bool(held.sealed) or not held.has_record or held.check is not None or bool(held.versions)


def missing(source: KeySource) -> VaultError:
    return VaultError(
        f"{source.file} does not exist, and the database was sealed with the key in it: put it back, or set"
        f" {source.variable} to its content. If it is lost, see docs/operations.md, A lost key",
        code="key_missing",
    )


async def _register(database: Database, key: KeyEncryptionKey, clock: Clock) -> None:
    """Records the first key of the database.

    Raises:
        VaultError: another process has recorded another one meanwhile.
    """
    first = KeyVersion(
        version=FIRST_VERSION, state=KeyState.ACTIVE, check=key.check(), created_at_ms=clock.now_ms()
    )

    def work(connection: Connection) -> None:
        add_version(connection, first)  # unless another process has added one
        if all(one.check != first.check for one in load_versions(connection)):
            raise VaultError(
                "Another process, which started at the same time, uses another key-encryption key: give every replica the"
                " same one",
                code="wrong_key",
            )

    await database.write(work)


def _new_key(source: KeySource, held: Findings, entropy: Entropy) -> KeyEncryptionKey:
    """Makes the installation's own key.

    Raises:
        VaultError: the database was sealed or bound with another key, which is missing.
    """
    if needs_key(held):
        raise missing(source)
    make_secret_file(source.file, entropy)
    key = source.load()
    if key is None:
        raise VaultError(f"{source.file} was removed while the service started", code="key_missing")
    return key


def _wrong(source: KeySource) -> VaultError:
    return VaultError(
        f"The key in {source.origin} is not the one that this database was bound with. {_way_back(source)} If it was"
        f" changed on purpose, run strongroom keys accept {source.ledger} --all",
        code="wrong_key",
    )


def _way_back(source: KeySource) -> str:
    return f"Put back the key that the service used before, in {source.variable} or {source.file}."


def _names(rows: Sequence[HeldRow]) -> str:
    shown = ", ".join(row.name for row in rows[:SHOWN])
    return f"the first are {shown}" if len(rows) > SHOWN else shown
