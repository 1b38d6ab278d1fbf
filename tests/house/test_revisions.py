"""A revision makes what it made when it was recorded, whatever has become of the tables since.

Otherwise the same revisions would lead two installations to different schemas, and a later revision to a table that it does not
expect.
"""

from importlib import import_module

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from support.schema_statements import COMPONENTS, recorded, statements_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("component", COMPONENTS)
async def test_revisions_do_not_change(database_url: URL, component: str) -> None:
    known = recorded("sqlite" if database_url.get_backend_name() == "sqlite" else "mariadb")
    made = await statements_of(database_url, component)
    assert made  # and of each revision that is not recorded yet, the statements are recorded with its release
    for revision in [revision for revision in known if revision.startswith(f"{component}_")]:
        assert made[revision] == known[revision], revision


@pytest.mark.parametrize("component", [name for name in COMPONENTS if name != "core"])
async def test_revisions_end_in_the_tables_of_today(database_url: URL, component: str) -> None:
    metadata = import_module(f"strongroom.{component}.tables").metadata

    def differences(connection: Connection) -> object:
        def is_the_ledger_s(_object: object, name: str | None, kind: str, *_: object) -> bool:
            return kind != "table" or name in metadata.tables

        options = {"compare_type": True, "include_object": is_the_ledger_s}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        return [one for one in found if not (isinstance(one, list) and one[0][0] == "modify_comment")]

    database = Database(database_url)
    await migrate(database, [COMPONENTS[component]])
    assert await database.read(differences) == []
    await database.close()
