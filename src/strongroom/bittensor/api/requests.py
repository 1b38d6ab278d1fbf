"""Bodies as they arrive."""

from typing import Any

from litestar import Request
from litestar.exceptions import SerializationException


class JsonRequest(Request[Any, Any, Any]):
    """The framework passes on two faults of a body as if they were its own."""

    async def json(self) -> Any:
        """Raises: SerializationException: the body is no JSON in UTF-8, or its lists lie too deep in each other."""
        try:
            return await super().json()
        except UnicodeDecodeError:
            raise SerializationException("The body is not UTF-8") from None
        except RecursionError:
            raise SerializationException("The body is nested too deeply") from None
