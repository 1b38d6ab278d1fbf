"""One HTTP connection, with limits that uvicorn leaves to a proxy in front of it.

What the socket gives is fed to the parser in small pieces, and only while nothing waits: a request whose predecessor is not
answered yet stays in the socket's buffers. So a connection holds at most one request, one head and what one read brought.
One timer watches what is due next. It starts when that becomes due and no byte that arrives puts it off.

Hazard: this leans on names of uvicorn's protocol that are public and not documented; the requirements pin its version, and
tests/core/http/connections/test_connection.py meets each of them.
"""

import asyncio
import enum
import re
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from strongroom.core.http.connections.admission import Admission, Gate, Reason
from strongroom.core.http.connections.flow import HeldFlow, Inbox, ReaderWatch
from strongroom.core.http.connections.limits import MAX_HEAD, MAX_HEADERS
from strongroom.core.http.connections.refusals import Rules, answer_of
from strongroom.core.http.connections.shown import EXTENSION
from strongroom.core.http.connections.websockets import Handshake, Socket

PIECE = 1024
LINGER_S = 2.0
"""How long a refused peer may take to read why."""
MAX_DISCARDED = 1024 * 1024
"""Bytes of a body that come after its answer and are thrown away for the connection's sake."""
FRAMING_A_BYTE = 8
"""A chunked body in chunks of one byte has five bytes more for each."""
OFFERS = (b"upgrade", b"http2-settings")
HEADER_MARKS = 4
"""A colon, a space and the end of the line."""


class _Refused(Exception):
    """Raised out of a callback of the parser, which wraps it."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Due(enum.Enum):
    """What the peer owes."""

    NOTHING = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    REQUEST = enum.auto()


class Connection(HttpToolsProtocol):
    """See the module. `of` makes what uvicorn takes for its protocol class."""

    def __init__(self, *, gate: Gate, rules: Rules, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._gate = gate
        self._limits = gate.limits
        self._rules = rules
        self._admission: Admission | None = None
        self._peer = "unknown"
        self.url = b""
        self._waiting = Inbox()
        self._is_feeding = False
        self._is_answering = False
        self._is_over = False
        self._refusal: Reason | None = None
        """Of the request that is parsed, while those before it are still answered."""
        self._heads = 0
        self._in_head = True
        self._head_begun = False
        self._head_bytes = self._raw_head_bytes = 0
        self._body_bytes = self._framing_bytes = self._discarded_bytes = 0
        self._body_used_s = 0.0
        self._due = (Due.NOTHING, 0)
        self._due_since_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of(cls, gate: Gate, rules: Rules) -> type[asyncio.Protocol]:
        return cast("type[asyncio.Protocol]", partial(cls, gate=gate, rules=rules))

    # What the transport says

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.flow = self._flow = HeldFlow(transport, self._feed)
        self._reader = ReaderWatch(transport, self._limits.unread_s, self._unread)
        self._peer = self.client[0] if self.client else "unknown"
        entered = self._gate.enter(self._peer, self._rules.proxies, self._rules.surface)
        if isinstance(entered, Reason):
            self._gate.note(self._rules.surface, entered, self._peer)
            self._admission = self._gate.linger()
            self._end(answer_of(entered, self._rules) if self._admission is not None else None)
            return
        self._admission = entered
        self._watch(may_parse=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = True
        self._waiting.clear()
        self._cancel()
        self._reader.stop()
        if self._admission is not None:
            self._admission.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        if len(data) <= PIECE and not self._waiting and self._may_parse():
            self._parse(data)  # what most requests are: one piece
        else:
            self._waiting.add(data)
        self._feed()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reader.start()

    def resume_writing(self) -> None:
        self._reader.stop()
        super().resume_writing()
        if not self._is_over:
            self._continue()

    # What the parser says

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = {EXTENSION: self}
        self._head_begun = True
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_HEAD:
            raise _Refused(Reason.LINE_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer must not pass for a header
        self._head_bytes += len(name) + len(value) + HEADER_MARKS
        if self._head_bytes + len(self.url) > MAX_HEAD or len(self.headers) >= MAX_HEADERS:
            raise _Refused(Reason.HEAD_TOO_LARGE)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        _take_host_of_target(self.url, self.headers)
        if self.parser.should_upgrade():
            if self._asks_for_websocket() and not self._may_upgrade():
                raise _Refused(Reason.MALFORMED)
            return  # see _upgrade, _decline_upgrade
        queued = len(self.pipeline)
        super().on_headers_complete()
        self._heads += 1
        self._in_head = False
        self._raw_head_bytes = self._body_bytes = self._framing_bytes = self._discarded_bytes = 0
        self._body_used_s = 0.0
        if len(self.pipeline) == queued:
            self._is_answering = True

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        largest = self._rules.max_body
        if largest is not None and self._body_bytes > largest:
            raise _Refused(Reason.BODY_TOO_LARGE)
        if self.cycle.response_complete:
            self._discarded_bytes += len(body)
            if self._discarded_bytes > MAX_DISCARDED:
                raise _Refused(Reason.BODY_TOO_LARGE)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # see _upgrade, _decline_upgrade
        self._in_head = True
        self._head_begun = False
        super().on_message_complete()

    # What uvicorn's answers and server say

    def on_response_complete(self) -> None:
        self._is_answering = False
        self._flow.read_paused = False  # an application that answers early wants no more of its body
        if self.transport.is_closing():
            self.loop.call_later(
                self._limits.unread_s, self.transport.abort
            )  # though nobody reads the answer
        else:
            self._continue()

    def abort(self) -> None:
        """Cuts the connection off at once; what was not sent yet is lost."""
        self.transport.abort()

    # The work

    def _feed(self) -> None:
        """Parses what waits until there is a reason to stop; the rest stays, and the socket is held."""
        if self._is_feeding or self._is_over:
            return
        self._is_feeding = True
        try:
            while self._waiting and self._may_parse():
                self._parse(self._waiting.take(PIECE))
        finally:
            self._is_feeding = False
        if not self._is_over:
            may_parse = self._may_parse()
            self._flow.hold(not may_parse)
            self._watch(may_parse=may_parse)

    def _may_parse(self) -> bool:
        return not (
            self._is_over
            or self._refusal is not None
            or self.pipeline
            or self._flow.read_paused
            or self._flow.write_paused
            or self.transport.is_closing()
        )

    def _parse(self, piece: bytes) -> None:
        heads, was_in_head, body_bytes = self._heads, self._in_head, self._body_bytes
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            rest = piece[upgrade.args[0] :]
            if self._asks_for_websocket():
                self._upgrade(rest)
            else:
                self._decline_upgrade(rest)
            return
        except httptools.HttpParserError as error:
            refused = error.__context__
            self._refuse(refused.reason if isinstance(refused, _Refused) else Reason.MALFORMED)
            return
        if heads == self._heads and was_in_head is self._in_head:
            if was_in_head:
                self._count_head(len(piece))
            else:
                self._count_framing(len(piece) - (self._body_bytes - body_bytes))

    def _decline_upgrade(self, rest: bytes) -> None:
        """Reads the request again as if it offered nothing: the parser reads no body after an offer (HTTP/2, from Java)."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(Reason.MALFORMED)
            return
        request = [method, b" ", self.url, b" HTTP/", self.parser.get_http_version().encode(), b"\r\n"]
        for name, value in self.headers:
            if name not in OFFERS:
                request += [name, b": ", value, b"\r\n"]
        self._raw_head_bytes = 0
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._waiting.put_back(b"".join([*request, b"\r\n", rest]))

    def _asks_for_websocket(self) -> bool:
        offered = dict(self.headers).get(b"upgrade", b"").strip().lower()
        connection = b",".join(value for name, value in self.headers if name == b"connection")
        return offered == b"websocket" and b"upgrade" in (
            word.strip() for word in connection.lower().split(b",")
        )

    def _upgrade(self, rest: bytes) -> None:
        """Hands the connection over, with its place among the open ones and with what came after the head."""
        self._cancel()
        self._is_over = True
        rest += self._waiting.take_all()
        self._flow.hold(False)
        self.connections.discard(self)
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            head += [name, b": ", value, b"\r\n"]
        handshake = Handshake(
            head=b"".join([*head, b"\r\n"]), scope=cast("dict[str, Any]", self.scope), application=self.app
        )
        socket = Socket(
            handshake,
            gate=self._gate,
            rules=self._rules,
            admission=self._admission,
            state=self.server_state,
        )
        self.transport.set_protocol(socket)
        socket.connection_made(self.transport)
        socket.data_received(rest)

    def _may_upgrade(self) -> bool:
        """Not while answers are under way, and not with a body."""
        has_body = any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
            for name, value in self.headers
        )
        return not (self._is_answering or self.pipeline or has_body)

    def _count_head(self, size: int) -> None:
        """Bytes that belong to a head which is not whole yet."""
        self._head_begun = True
        self._raw_head_bytes += size
        if self._raw_head_bytes > MAX_HEAD:
            is_line = not self.headers and len(self.url) > MAX_HEAD // 2
            self._refuse(Reason.LINE_TOO_LONG if is_line else Reason.HEAD_TOO_LARGE)

    def _count_framing(self, size: int) -> None:
        """Sizes of chunks, their extensions, trailers."""
        self._framing_bytes += size
        if self._framing_bytes > MAX_HEAD + FRAMING_A_BYTE * self._body_bytes:
            self._refuse(Reason.FRAMING)

    def _continue(self) -> None:
        """After an answer, or when the peer reads again: the next request."""
        if self.pipeline and not self._is_answering and not self._flow.write_paused:
            self._is_answering = True
            super().on_response_complete()  # starts the oldest
        elif self._refusal is not None and not self._is_answering and not self.pipeline:
            self._end(self._answer(self._refusal))
        self._feed()

    def _unread(self) -> None:
        self._gate.note(self._rules.surface, Reason.UNREAD, self._peer)

    def _refuse(self, reason: Reason) -> None:
        """Ends the connection, after the answers to the requests before this one."""
        self._gate.note(self._rules.surface, reason, self._peer)
        if self.pipeline or (self._is_answering and self._in_head):
            self._refusal = reason
            return
        answer: bytes | None = self._answer(reason)
        if not self._in_head:  # the application has this request already
            if self.cycle.response_started:
                answer = None
            self.cycle.disconnected = True
            self.cycle.waiting_for_100_continue = False
            self.cycle.message_event.set()
        self._end(answer)

    def _answer(self, reason: Reason) -> bytes:
        return answer_of(reason, self._rules, self.url.partition(b"?")[0].decode("latin-1"))

    def _end(self, answer: bytes | None) -> None:
        """Closes; with an answer, the peer gets a moment to read it, and what it still sends is thrown away."""
        self._is_over = True
        self._waiting.clear()
        self._cancel()
        self.pipeline.clear()
        if answer is None:
            self.transport.abort()
            return
        self.transport.write(answer)
        self.transport.write_eof()
        self._flow.hold(False)
        self.loop.call_later(LINGER_S, self.transport.abort)

    # The time

    def _watch(self, *, may_parse: bool) -> None:
        due = (self._what_is_due() if may_parse else Due.NOTHING, self._heads)
        if due == self._due:
            return
        self._cancel()
        self._due = due
        if due[0] is Due.NOTHING:
            return
        limits = self._limits
        if due[0] is Due.REQUEST:
            seconds = limits.idle_s
        elif due[0] is Due.HEAD:
            seconds = limits.head_s
        else:
            seconds = max(0.0, limits.body_s - self._body_used_s)
            self._due_since_s = self.loop.time()
        self._timer = self.loop.call_later(seconds, self._overdue, due[0])

    def _what_is_due(self) -> "Due":
        if not self._in_head:
            return Due.NOTHING if self.cycle.waiting_for_100_continue else Due.BODY
        if self._is_answering:
            return Due.NOTHING
        return Due.HEAD if self._head_begun or not self._heads else Due.REQUEST

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if self._due[0] is Due.BODY:
                self._body_used_s += self.loop.time() - self._due_since_s
        self._due = (Due.NOTHING, self._heads)

    def _overdue(self, due: "Due") -> None:
        if due is Due.BODY:
            self._refuse(Reason.BODY_TIMEOUT)
        elif due is Due.HEAD and self._head_begun:
            self._refuse(Reason.HEAD_TIMEOUT)
        else:
            self._is_over = True
            self.transport.close()
            self.loop.call_later(LINGER_S, self.transport.abort)


def _take_host_of_target(url: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """A target with a host, as proxies are asked, says more than the Host header (RFC 9112, 3.2.2)."""
    scheme, separator, rest = url.partition(b"://")
    hosts = [index for index, (name, _) in enumerate(headers) if name == b"host"]
    if separator and scheme.isalpha() and len(hosts) == 1:
        authority = re.split(rb"[/?#]", rest, maxsplit=1)[0]
        headers[hosts[0]] = (b"host", authority)
