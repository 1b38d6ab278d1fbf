"""The key-encryption keys of a ledger: their versions, their change, and the seal."""

from dataclasses import replace
from typing import Annotated, Final

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath

from strongroom.admin.api import access
from strongroom.admin.api.freezes import change_everywhere
from strongroom.admin.api.wire import Changes
from strongroom.admin.estate import Authority, Estate
from strongroom.core.clock import iso_instant
from strongroom.core.errors import InvalidInput, NotFound, VaultError
from strongroom.core.http.route_access import needs
from strongroom.core.security.access import Principal
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.keys.local import key_from_hex
from strongroom.core.security.vault import KeyEncryptionKey

NO_KEYS: Final = "no_keys"


class KeyVersionView(msgspec.Struct, kw_only=True, rename="camel"):
    version: int
    state: str
    created_at: str
    backend: str | None
    """What wraps the key; null: it is in a variable or a file."""
    rows: int | None
    """How many rows need it; null while the ledger is sealed."""


class KeysView(msgspec.Struct, kw_only=True, rename="camel"):
    is_sealed: bool
    versions: list[KeyVersionView]


class Rotation(msgspec.Struct, kw_only=True, rename="camel"):
    version: int
    """The version that is active now."""


class SealView(msgspec.Struct, kw_only=True, rename="camel"):
    is_sealed: bool
    is_new: bool
    """False: it was sealed before."""


class GivenKey(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    key: str | None = None
    """The active key-encryption key, 64 hex digits; null: its backend opens it."""

    def __repr__(self) -> str:
        return "GivenKey(hidden)"


class KeysController(Controller):
    path = "/admin/v1/ledgers/{ledger:str}"
    tags = ("Keys",)

    @get("/keys", summary="List key-encryption keys", opt=needs(access.READ))
    async def list_keys(self, ledger: FromPath[str], estate: NamedDependency[Estate]) -> KeysView:
        """The versions of the key, and how many rows need each. No answer has a key."""
        custody = _custody(estate, ledger)
        rotation, is_open = custody.rotation(), custody.is_open
        counts = await rotation.needs() if is_open else {}
        return KeysView(
            is_sealed=not is_open,
            versions=[
                KeyVersionView(
                    version=one.version,
                    state=one.state.value,
                    created_at=iso_instant(one.created_at_ms),
                    backend=one.backend,
                    rows=counts.get(one.version, 0) if is_open else None,
                )
                for one in await rotation.versions()
            ],
        )

    @post("/keys/rotate", status_code=200, summary="Change the key-encryption key", opt=needs(access.KEYS))
    async def rotate(
        self, ledger: FromPath[str], estate: NamedDependency[Estate], caller: NamedDependency[Principal]
    ) -> Rotation:
        """Makes the next key the active one; a process of the service seals all rows anew. The list shows how far it is.

        A live process that does not have the next key gets 409 `replica_without_key`, and nothing is changed.
        """
        custody = _custody(estate, ledger)
        custody.ring.require_open()
        version = await custody.rotation().begin(caller)
        custody.news.set()
        return Rotation(version=version)

    @post("/unseal", status_code=200, summary="Unseal", opt=needs(access.UNSEAL))
    async def unseal(
        self,
        ledger: FromPath[str],
        data: Annotated[GivenKey, Body()],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> SealView:
        """Every process opens its keys again. A wrong key gets 403 `unseal_refused`; after five, each further one must wait."""
        await _custody(estate, ledger).unseal(caller, None if data.key is None else _parse(data.key))
        return SealView(is_sealed=False, is_new=True)

    @post("/seal", status_code=200, summary="Seal", opt=needs(access.SEAL))
    async def seal(
        self, ledger: FromPath[str], estate: NamedDependency[Estate], caller: NamedDependency[Principal]
    ) -> SealView:
        """The keys leave the memory of every process within a second, also after restarts. Reading goes on."""
        is_new = await _custody(estate, ledger).seal(caller)
        return SealView(is_sealed=True, is_new=is_new)


class EveryKeyController(Controller):
    path = "/admin/v1"
    tags = ("Keys",)

    @post("/seal", status_code=200, summary="Seal everything", opt=needs(access.SEAL))
    async def seal(self, estate: NamedDependency[Estate], authority: NamedDependency[Authority]) -> Changes:
        """Every ledger that holds keys and over which the caller has authority. Each is tried, whatever happens with another."""
        kept = {name: one for name, one in authority.principals.items() if estate.holds_keys(name)}
        away = {name: error for name, error in authority.away.items() if estate.holds_keys(name)}
        if not kept and not away:
            raise NotFound("No ledger over which the token has authority holds keys", code=NO_KEYS)

        async def change(name: str, principal: Principal) -> None:
            await _custody(estate, name).seal(principal)

        return await change_everywhere(
            estate, replace(authority, principals=kept, away=away), change, "sealed"
        )


def _parse(text: str) -> KeyEncryptionKey:
    try:
        return key_from_hex(text)
    except VaultError as error:
        raise InvalidInput(error.message, code="key_invalid") from None


def _custody(estate: Estate, ledger: str) -> Custody:
    custody = estate.find(ledger).custody
    if custody is None:
        raise NotFound(f"{ledger} holds no keys; a freeze ends what it broadcasts", code=NO_KEYS)
    return custody
