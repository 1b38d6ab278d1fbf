"""A revision makes what it made when it was recorded, whatever has become of the tables since.

Otherwise the same revisions would lead two installations to different schemas, and a later revision to a table that it does not
expect.
"""

import pytest
from sqlalchemy.engine import URL

from support.schema_statements import COMPONENTS, recorded, statements_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("component", COMPONENTS)
async def test_revisions_do_not_change(database_url: URL, component: str) -> None:
    known = recorded("sqlite" if database_url.get_backend_name() == "sqlite" else "mariadb")
    made = await statements_of(database_url, component)
    assert made  # and of each revision that is not recorded yet, the statements are recorded with its release
    for revision in [revision for revision in known if revision.startswith(f"{component}_")]:
        assert made[revision] == known[revision], revision
