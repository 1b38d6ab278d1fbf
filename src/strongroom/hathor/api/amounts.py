"""In which form a request wants its amounts: it says so with the header `strongroom-amounts` or the query key `amounts`.

The original knows numbers alone.
"""

from typing import Any

from litestar import Request

from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.api.validation import Problem, invalid_payload

HEADER = "strongroom-amounts"
QUERY_KEY = "amounts"


def amount_form(request: Request[Any, Any, Any]) -> AmountForm:
    """What the request asks for, or else the service's form (`amounts` of the application). Raises: Refusal."""
    asked = [
        value
        for value in (request.headers.get(HEADER), request.query_params.get(QUERY_KEY))
        if value is not None
    ]
    if any(value not in set(AmountForm) for value in asked):
        message = f'"{QUERY_KEY}" must be one of [{", ".join(AmountForm)}]'
        raise invalid_payload([Problem(message=message, path=(QUERY_KEY,))])
    return AmountForm(asked[0] if asked else request.app.state.amounts)
