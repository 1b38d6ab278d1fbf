"""What of a running ledger needs the key-encryption key."""

from contextlib import suppress

from strongroom.core.errors import Sealed
from strongroom.core.guard.rows.binding import tag_existing
from strongroom.core.runtime.telemetry import Health
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.holdings import bind_holdings
from strongroom.core.security.vault import Vault
from strongroom.core.security.watch import KeyWatch, Watched


class OpenedKeys:
    """The objects that there are once the key is open."""

    def __init__(self, vault: Vault, bindings: Bindings, watch: KeyWatch) -> None:
        self.vault = vault
        self.bindings = bindings
        self.watch = watch


async def open_checked(custody: Custody, component: str, *, health: Health, audit: Audit) -> OpenedKeys:
    """Opens the keys and checks them against the database, before anything is signed or sealed with them.

    While the ledger is sealed they are not opened: that happens when an operator has unsealed it.
    """
    ring, keeping = custody.ring, custody.keeping
    with suppress(Sealed):
        if not ring.is_open:
            await custody.open()
        await bind_holdings(keeping.database, keeping.holdings, ring, audit)
        await tag_existing(keeping.database, audit)
    watch = KeyWatch(
        Watched(
            component=component,
            source=keeping.source,
            ring=ring,
            holdings=keeping.holdings,
            backends=keeping.backends,
        ),
        database=keeping.database,
        audit=audit,
        health=health,
        clock=keeping.clock,
    )
    await watch.check()
    return OpenedKeys(Vault(ring, keeping.entropy), Bindings(ring, keeping.holdings.kind), watch)
