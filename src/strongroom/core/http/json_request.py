"""Reads the JSON body of a request for the routes."""

from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import SerializationException

from strongroom.core.json_decoder import check_depth


class JsonRequest(Request[Any, Any, Any]):
    """A request whose faulty bodies become client errors; the framework alone would answer two of these faults with 500."""

    async def json(self) -> Any:
        """The decoded body; raises SerializationException if it is not JSON in UTF-8, or is nested too deep."""
        try:
            check_depth(await self.body())
            return await super().json()
        except msgspec.DecodeError as error:
            raise SerializationException(str(error)) from None
        except UnicodeDecodeError:
            raise SerializationException("The body is not UTF-8") from None
