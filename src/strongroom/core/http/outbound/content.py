"""Reads the content of a peer's answer: decompresses it in small steps, and limits its size and ratio."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Iterator

import aiohttp

STEP_BYTES = 65_536
FREE_BYTES = 2**20
MAX_RATIO = 100
"""JSON compresses 5 to 30 times. Content that compresses more than this, beyond the first MiB, is meant to fill the memory."""
_GZIP = 16 + zlib.MAX_WBITS


class TooLarge(Exception):
    """The content is too long, or too strongly compressed."""


class EncodingRefused(Exception):
    """The content has an encoding that was not asked for, or is not valid in its encoding."""


async def decoded(
    response: aiohttp.ClientResponse, max_bytes: int | None = None
) -> AsyncGenerator[bytes, None]:
    """The content in pieces of at most 64 KiB. `max_bytes` limits the total after decompression.

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
                )  # one chunk may give many pieces, and other tasks must run between them
    if inflate is not None and (piece := inflate.finish()):
        yield piece


class _Inflater:
    """Decompresses one gzip member."""

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
        """The rest of the content, at most 32 KiB; raises EncodingRefused if the content is incomplete."""
        rest = self._stream.flush()
        if self._taken and not self._stream.eof:
            raise EncodingRefused("the compressed content is cut off")
        return rest
