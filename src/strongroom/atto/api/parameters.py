"""Headers and query parameters that several routes share."""

from typing import Annotated

from litestar.params import HeaderParameter, QueryParameter

from strongroom.atto.history.queries import MAX_PAGE

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        description="A repeated request with the same key and body gets the same answer, for at least 24 hours.",
    ),
]
Cursor = Annotated[
    str | None, QueryParameter(description="`nextCursor` of the previous page", required=False)
]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="The most entries on a page")]
