"""The content of an answer from outside: decompressed in small steps, bounded in size and ratio."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Iterator

import aiohttp

STEP_BYTES = 65_536
FREE_BYTES = 2**20
MAX_RATIO = 100
"""JSON shrinks 5 to 30 times. What shrinks more than this, beyond the first MiB, is made to fill memory."""
_GZIP = 16 + zlib.MAX_WBITS


class TooLarge(Exception):
    """The content is longer, or compressed more, than an honest peer's."""


class EncodingRefused(Exception):
    """The content is in a coding that was not asked for, or is broken in its own."""


async def decoded(
    response: aiohttp.ClientResponse, max_bytes: int | None = None
) -> AsyncGenerator[bytes, None]:
    """The content in pieces of at most 64 KiB or as they arrive; `max_bytes` bounds the sum after decompression.

    Raises:
        TooLarge, EncodingRefused.
    """
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in {"identity", "gzip", "x-gzip", ""}:
        raise EncodingRefused(f"the coding {coding[:20]!r} was not asked for")
    inflate = _Inflater() if coding.endswith("gzip") else None
    size = 0
    async for chunk in response.content.iter_any():
        for piece in (chunk,) if inflate is None else inflate.pieces(chunk):
            size += len(piece)
            if max_bytes is not None and size > max_bytes:
                raise TooLarge("the content has no end")
            yield piece
            if inflate is not None:
                await asyncio.sleep(
                    0
                )  # many pieces may come of one chunk; others get their turn between them
    if inflate is not None and (piece := inflate.finish()):
        yield piece


class _Inflater:
    """Gunzips one member."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP)
        self._taken = 0
        self._given = 0

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        self._taken += len(chunk)
        rest = chunk
        while rest:
            if self._stream.eof:
                raise EncodingRefused("the compressed content goes on after its end")
            try:
                piece = self._stream.decompress(rest, STEP_BYTES)
            except zlib.error as error:
                raise EncodingRefused("the compressed content is broken") from error
            self._given += len(piece)
            if self._given > FREE_BYTES + MAX_RATIO * self._taken:
                raise TooLarge("the content is compressed beyond measure")
            if piece:
                yield piece
            rest = self._stream.unconsumed_tail or self._stream.unused_data

    def finish(self) -> bytes:
        """What is left in the window, at most 32 KiB."""
        rest = self._stream.flush()
        if self._taken and not self._stream.eof:
            raise EncodingRefused("the compressed content is cut off")
        return rest
