"""Parameters that several routes have."""

from typing import Annotated

from litestar.params import QueryParameter

Cursor = Annotated[str | None, QueryParameter(required=False, description="`cursor` of the page before")]
