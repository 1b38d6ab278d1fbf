"""The key-encryption keys of all ledgers: how old each version is, what needs it, and their change."""

from dataclasses import dataclass
from typing import Any, Final

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from strongroom.admin.api.access import KEYS, READ
from strongroom.admin.api.keys import KeysController, KeysView, KeyVersionView
from strongroom.console.access import form_of
from strongroom.console.pages.confirming import is_sure, question
from strongroom.console.viewer import Section, Viewer
from strongroom.core.errors import StrongroomError, Unavailable
from strongroom.core.http.route_access import needs
from strongroom.core.security.keys.versions import KeyState

SECTION: Final = Section(title="Keys", path="/keys", scope=READ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """The keys of one ledger."""

    ledger: str
    is_sealed: bool
    versions: list[KeyVersionView]
    """The newest first."""
    is_changing: bool
    """Whether rows are being sealed anew."""
    done: int
    """Rows that the active version has; of those that need any version, `total`."""
    total: int
    may_rotate: bool


class KeysPages(Controller):
    """A rotation is asked about, before it begins."""

    path = SECTION.path

    @get(opt=needs(READ))
    async def show(self, viewer: NamedDependency[Viewer]) -> Template:
        names = [name for name in viewer.estate.names if viewer.may(READ, name)]
        told = [(name, await _keys(viewer, name)) for name in names if viewer.estate.holds_keys(name)]
        told += [(name, one) for name, one in viewer.authority.away.items() if viewer.estate.holds_keys(name)]
        return viewer.page(
            "keys.html",
            keyrings=[_keyring(viewer, name, one) for name, one in told if isinstance(one, KeysView)],
            troubles=[(name, one) for name, one in told if isinstance(one, StrongroomError)],
            without=[name for name in names if not viewer.estate.holds_keys(name)],
            states=KeyState,
        )

    @post("/{on:str}/rotate", opt=needs(KEYS))
    async def rotate(
        self, request: Request[Any, Any, Any], on: FromPath[str], viewer: NamedDependency[Viewer]
    ) -> Response[Any] | Template:
        title = viewer.estate.title_of(viewer.estate.find(on).definition.name)
        if not is_sure(await form_of(request)):
            told = (
                "The next key becomes the active one, in every process, and all rows are sealed anew under it while the service goes on."
                " Keep a copy of the next key with the backups: older backups need the key that is replaced."
                " It cannot be taken back; a later rotation replaces it."
            )
            asked = f"Change the key-encryption key of {title}?"
            return question(
                viewer, asked, told, f"/keys/{on}/rotate", {}, "Change the key", back=SECTION.path
            )
        done = await viewer.call(KeysController.rotate, on)
        return viewer.done(
            SECTION.path, f"Version {done.version} of {title}'s key is active. Rows are sealed anew under it."
        )


async def _keys(viewer: Viewer, name: str) -> KeysView | StrongroomError:
    try:
        found: KeysView = await viewer.call(KeysController.list_keys, name)
    except Unavailable as error:
        return error
    return found


def _keyring(viewer: Viewer, name: str, keys: KeysView) -> Keyring:
    rows = {one.version: one.rows or 0 for one in keys.versions}
    return Keyring(
        ledger=name,
        is_sealed=keys.is_sealed,
        versions=sorted(keys.versions, key=lambda one: -one.version),
        is_changing=any(one.state == KeyState.REPLACED for one in keys.versions),
        done=sum(rows[one.version] for one in keys.versions if one.state == KeyState.ACTIVE),
        total=sum(rows.values()),
        may_rotate=viewer.may(KEYS, name) and not keys.is_sealed,
    )


CONTROLLERS: Final = (KeysPages,)
