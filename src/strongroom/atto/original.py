"""The Atto Wallet Server, as its database shows it. Its migration tool is Flyway."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, MetaData, text

from strongroom.atto import tables
from strongroom.core.storage.adoption.original import Original, OriginalVersion

NEWEST: Final = 2
"""Version 1 has wallets and accounts, version 2 the progress of callbacks."""


class AttoWalletServer(Original):
    """See `core.storage.adoption.original`. What it needs is always up to date: its three tables are ours too."""

    title = "Atto Wallet Server"
    history = "flyway_schema_history"

    @property
    def tables(self) -> MetaData:
        return tables.metadata

    def version(self, connection: Connection) -> OriginalVersion:
        rows = connection.execute(
            text("SELECT version, success FROM flyway_schema_history WHERE version IS NOT NULL")
        ).all()
        done = sorted((str(row.version) for row in rows if row.success), key=_order)
        newest = done[-1] if done else "none"
        failed = [str(row.version) for row in rows if not row.success]
        problem = None
        if failed:
            problem = f"its migration {', '.join(failed)} has failed: repair that with the original first"
        elif not done:
            problem = "its migrations have not run"
        elif _order(newest) > (NEWEST,):
            problem = f"its schema is of version {newest}, and {NEWEST} is the newest that this service knows"
        return OriginalVersion(name=f"schema {newest}", problem=problem)

    def obstacles(self, connection: Connection) -> Sequence[str]:
        kept = connection.scalar(
            text("SELECT MAX(backend) FROM strongroom_key WHERE state = 'active' AND backend IS NOT NULL")
        )
        if not kept:
            return ()
        words = (
            f"the key-encryption key is sealed by {kept}, and the original reads only CHA_CHA20_KEY_ENCRYPTION_KEY: change to"
            " a key of that variable first (strongroom keys rotate)"
        )
        return (words,)


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
