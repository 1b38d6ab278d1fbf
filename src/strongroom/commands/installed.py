"""The databases of this installation."""

from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.ledger.installed import Installed, looking
from strongroom.core.storage.schema import require_current
from strongroom.registry import LEDGERS
from strongroom.settings import Settings


def installed(settings: Settings) -> list[Installed]:
    """Of every configured ledger."""
    return [
        Installed(
            ledger=ledger.name,
            url=own.database,
            revisions=(ledger.revisions,),
            short_credentials=own.short_credentials,
        )
        for ledger in LEDGERS
        if (own := settings.of(ledger)) is not None
    ]


async def require_installed(settings: Settings, ledger: AnyLedger) -> None:
    """For commands that work on what is there: none of them makes a database by mistake, or changes its schema.

    Raises: as `require_current`.
    """
    for one in installed(settings):
        if one.ledger == ledger.name:
            async with looking(one) as database:
                await require_current(database, one.revisions)
