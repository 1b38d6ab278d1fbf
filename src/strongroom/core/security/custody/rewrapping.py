"""Has backends seal wrapped keys anew, under the newest version of their own key, so that its older versions can be removed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from strongroom.core.errors import InvalidInput
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.custody.keeping import Keeping
from strongroom.core.security.keys.versions import KeyState, load_versions, replace_wrapped

ACTION_REWRAP: Final = "key.rewrap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrapped:
    version: int
    backend: str


async def rewrap_keys(keeping: Keeping, audit: Audit, principal: Principal) -> Sequence[Rewrapped]:
    """Seals every wrapped version anew. The keys themselves stay, and so does every sealed row.

    Raises:
        InvalidInput: no version is wrapped by a backend that is configured.
        KeyBackendAway: a backend does not answer; what was done stays done.
        VaultError: it refuses.
    """
    backends, database = keeping.backends, keeping.database
    done = []
    for one in await database.read(load_versions):
        if one.wrapped is None or one.state is KeyState.RETIRED:
            continue
        again = None if backends is None else await backends.rewrap(one)
        if again is None:
            continue

        def work(
            connection: Connection, version: int = one.version, old: bytes = one.wrapped, new: bytes = again
        ) -> bool:
            if not replace_wrapped(connection, version, old, new):
                return False
            audit.append(
                connection, principal, ACTION_REWRAP, keeping.holdings.kind.table, {"version": version}
            )
            return True

        if await database.write(work):
            done.append(Rewrapped(version=one.version, backend=one.backend or ""))
    if not done:
        raise InvalidInput(
            "No version of the key is wrapped by a backend that is configured", code="not_wrapped"
        )
    return done
