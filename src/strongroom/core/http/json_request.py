"""Bodies as the routes get them."""

from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import SerializationException

from strongroom.core.json_decoder import check_depth


class JsonRequest(Request[Any, Any, Any]):
    """The framework passes on two faults of a body as if they were its own."""

    async def json(self) -> Any:
        """Raises: SerializationException: the body is no JSON in UTF-8, or it is nested too deep."""
        try:
            check_depth(await self.body())
            return await super().json()
        except msgspec.DecodeError as error:
            raise SerializationException(str(error)) from None
        except UnicodeDecodeError:
            raise SerializationException("The body is not UTF-8") from None
