import pytest

from strongroom.core.security.access import ADMIN
from support.admin_office import Office
from support.console import Visitor


@pytest.fixture
async def boss(office: Office, visitor: Visitor) -> Visitor:
    """Somebody who may do everything on both ledgers."""
    await visitor.sign_in(await office.token(ADMIN, on=("atto", "hathor"), name="boss"))
    return visitor
