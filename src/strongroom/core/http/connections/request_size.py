"""The bytes of one request, counted by what they are for."""

from strongroom.core.http.connections.admission import Reason
from strongroom.core.http.connections.limits import MAX_HEAD, MAX_HEADERS

MAX_DISCARDED = 1024 * 1024
"""To keep the connection, at most this many bytes of a body are read and discarded after the request was answered."""
FRAMING_A_BYTE = 8
"""The most framing bytes for each byte of a chunked body. Chunks of one byte have five."""
HEADER_MARKS = 4
"""The length of a colon, a space and the end of the line."""


class RequestRefused(Exception):
    """Raised in a callback of the parser, which wraps it in its own error."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class RequestSize:
    """Every method counts, and raises RequestRefused when the request has become too large.

    The parser tells of a header when its line is complete and of a chunk when its content comes. `unfinished_head` and
    `framing` count what it has taken without a word, or one line without an end would fill the memory.
    """

    def __init__(self, max_body: int | None) -> None:
        self._max_body = max_body
        self._headers = self._header_bytes = self._unfinished_bytes = 0
        self._framing_bytes = self._discarded_bytes = 0
        self.body_bytes = 0

    def head_begins(self) -> None:
        self._headers = self._header_bytes = 0

    def target(self, length: int) -> None:
        """The request's target is `length` bytes long until now."""
        if length > MAX_HEAD:
            raise RequestRefused(Reason.LINE_TOO_LONG)

    def header(self, name: bytes, value: bytes, target_length: int) -> None:
        self._headers += 1
        self._header_bytes += len(name) + len(value) + HEADER_MARKS
        if self._header_bytes + target_length > MAX_HEAD or self._headers > MAX_HEADERS:
            raise RequestRefused(Reason.HEAD_TOO_LARGE)

    def unfinished_head(self, size: int, target_length: int) -> None:
        """`size` bytes were parsed, and the head is not complete yet."""
        self._unfinished_bytes += size
        if self._unfinished_bytes > MAX_HEAD:
            is_line = not self._headers and target_length > MAX_HEAD // 2
            raise RequestRefused(Reason.LINE_TOO_LONG if is_line else Reason.HEAD_TOO_LARGE)

    def head_ends(self) -> None:
        self._unfinished_bytes = 0
        self.body_bytes = self._framing_bytes = self._discarded_bytes = 0

    def body(self, size: int, *, is_discarded: bool) -> None:
        """`size` bytes of content. They are discarded where the request was answered before them."""
        self.body_bytes += size
        if self._max_body is not None and self.body_bytes > self._max_body:
            raise RequestRefused(Reason.BODY_TOO_LARGE)
        if is_discarded:
            self._discarded_bytes += size
            if self._discarded_bytes > MAX_DISCARDED:
                raise RequestRefused(Reason.BODY_TOO_LARGE)

    def framing(self, size: int) -> None:
        """`size` bytes of a chunked body that are not content: sizes of chunks, extensions, trailers."""
        self._framing_bytes += size
        if self._framing_bytes > MAX_HEAD + FRAMING_A_BYTE * self.body_bytes:
            raise RequestRefused(Reason.FRAMING)
