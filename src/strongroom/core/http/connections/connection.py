"""One HTTP connection, with limits that uvicorn leaves to a proxy in front of it.

The connection feeds received bytes to the parser in small pieces, and only while no request waits: while one request is not
answered, the next one stays in the socket's buffers. So a connection keeps at most one request, one head and the bytes of one
read in memory. One timer limits how long the peer may take for its next part (head, body or request). It starts when that part is
due, and arriving bytes do not extend it, so that a slow sender cannot hold the connection.

Hazard: this uses names of uvicorn's protocol class that are public but not documented. The requirements pin uvicorn's version, and
tests/core/http/connections/test_connection.py uses each of these names.
"""

import asyncio
from functools import partial
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from strongroom.core.http.connections.admission import Admission, Gate, Reason
from strongroom.core.http.connections.due import Due, DueTimer
from strongroom.core.http.connections.flow import HeldFlow, Inbox, ReaderWatch, end_writing
from strongroom.core.http.connections.refusals import Rules, answer_of
from strongroom.core.http.connections.request_head import (
    asks_for_websocket,
    has_body,
    take_host_of_target,
    write_head,
)
from strongroom.core.http.connections.request_size import RequestRefused, RequestSize
from strongroom.core.http.connections.shown import EXTENSION, peer_certificate
from strongroom.core.http.connections.websockets import Handshake, Socket

PIECE = 1024
LINGER_S = 2.0
"""A refused peer has this long to read the refusal."""
OFFERS = (b"upgrade", b"http2-settings")


class Connection(HttpToolsProtocol):
    """The connection that the module's text describes. `of` makes the protocol class for uvicorn."""

    def __init__(
        self, *, gate: Gate, rules: Rules, admission: Admission | None = None, **uvicorns: Any
    ) -> None:
        """`admission`: the place that the connection has in the counts already."""
        super().__init__(**uvicorns)
        self._gate = gate
        self._limits = gate.limits
        self._rules = rules
        self._admission = admission
        self._peer = "unknown"
        self.url = b""
        self._waiting = Inbox()
        self._is_feeding = False
        self._is_answering = False
        self._is_over = False
        self._refusal: Reason | None = None
        """The refusal of the parsed request, which waits until the requests before it are answered."""
        self._heads = 0
        self._in_head = True
        self._head_begun = False
        self._size = RequestSize(rules.max_body)
        self._timer = DueTimer(gate.limits, self.loop, self._overdue)

    @classmethod
    def of(cls, gate: Gate, rules: Rules) -> type[asyncio.Protocol]:
        return cast("type[asyncio.Protocol]", partial(cls, gate=gate, rules=rules))

    # Calls by the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.flow = self._flow = HeldFlow(transport, self._feed)
        self._reader = ReaderWatch(transport, self._limits.unread_s, self._unread)
        self._peer = self.client[0] if self.client else "unknown"
        if self._admission is not None:
            self._watch(may_parse=True)
            return
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
        self._timer.stop()
        self._reader.stop()
        if self._admission is not None:
            self._admission.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        if len(data) <= PIECE and not self._waiting and self._may_parse():
            self._parse(data)  # most requests come in one piece
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

    # Calls by the parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)["extensions"] = {EXTENSION: self}
        self._head_begun = True
        self._size.head_begins()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._size.target(len(self.url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer must not be taken for a header
        self._size.header(name, value, len(self.url))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        take_host_of_target(self.url, self.headers)
        if self.parser.should_upgrade():
            if asks_for_websocket(self.headers) and (
                self._is_answering or self.pipeline or has_body(self.headers)
            ):
                raise RequestRefused(Reason.MALFORMED)
            return  # see _upgrade, _decline_upgrade
        queued = len(self.pipeline)
        super().on_headers_complete()
        if self._gate.is_draining:
            self.cycle.keep_alive = False
        self._heads += 1
        self._in_head = False
        self._size.head_ends()
        self._timer.new_body()
        if len(self.pipeline) == queued:
            self._is_answering = True

    def on_body(self, body: bytes) -> None:
        self._size.body(len(body), is_discarded=self.cycle.response_complete)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # see _upgrade, _decline_upgrade
        self._in_head = True
        self._head_begun = False
        super().on_message_complete()

    # Calls by uvicorn's request cycle and server

    def on_response_complete(self) -> None:
        self._is_answering = False
        self._flow.read_paused = False  # an application that answers early does not need the rest of the body
        if self.transport.is_closing():
            # A peer that does not read the answer must not keep the closing connection open for ever.
            self.loop.call_later(self._limits.unread_s, self.transport.abort)
        else:
            self._continue()

    def abort(self) -> None:
        """Cuts the connection off at once; what was not sent yet is lost."""
        self.transport.abort()

    @property
    def certificate(self) -> bytes | None:
        return peer_certificate(self.transport)

    # The work

    def _feed(self) -> None:
        """Parses waiting bytes as long as parsing is allowed; pauses the socket while it is not."""
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
        heads, was_in_head, body_bytes = self._heads, self._in_head, self._size.body_bytes
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            rest = piece[upgrade.args[0] :]
            if asks_for_websocket(self.headers):
                self._upgrade(rest)
            else:
                self._decline_upgrade(rest)
            return
        except httptools.HttpParserError as error:
            refused = error.__context__
            self._refuse(refused.reason if isinstance(refused, RequestRefused) else Reason.MALFORMED)
            return
        if heads == self._heads and was_in_head is self._in_head:
            self._count_rest(len(piece) - (self._size.body_bytes - body_bytes))

    def _count_rest(self, size: int) -> None:
        """Counts bytes that the parser has taken without a call, within one head or one body."""
        try:
            if self._in_head:
                self._head_begun = True
                self._size.unfinished_head(size, len(self.url))
            else:
                self._size.framing(size)
        except RequestRefused as refused:
            self._refuse(refused.reason)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Parses the request again without its offer to upgrade, because the parser reads no body after such an offer.

        Java's HTTP client sends an offer of HTTP/2 with its requests.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(Reason.MALFORMED)
            return
        headers = [header for header in self.headers if header[0] not in OFFERS]
        head = write_head(method, self.url, self.parser.get_http_version(), headers)
        self._size.head_ends()
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._waiting.put_back(head + rest)

    def _upgrade(self, rest: bytes) -> None:
        """Hands the connection over to a WebSocket, with its admission and the bytes that came after the head."""
        self._timer.stop()
        self._is_over = True
        rest += self._waiting.take_all()
        self._flow.hold(False)
        self.connections.discard(self)
        handshake = Handshake(
            head=write_head(self.parser.get_method(), self.url, "1.1", self.headers),
            scope=cast("dict[str, Any]", self.scope),
            application=self.app,
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

    def _continue(self) -> None:
        """Goes on with the next request, after an answer or when the peer reads again."""
        if self.pipeline and not self._is_answering and not self._flow.write_paused:
            self._is_answering = True
            super().on_response_complete()  # starts the oldest
        elif self._refusal is not None and not self._is_answering and not self.pipeline:
            self._end(self._answer(self._refusal))
        self._feed()

    def _unread(self) -> None:
        self._gate.note(self._rules.surface, Reason.UNREAD, self._peer)

    def _refuse(self, reason: Reason) -> None:
        """Refuses a request and ends the connection, after earlier requests are answered."""
        self._gate.note(self._rules.surface, reason, self._peer)
        if self.pipeline or (self._is_answering and self._in_head):
            self._refusal = reason
            return
        answer: bytes | None = self._answer(reason)
        if not self._in_head:  # the application already has this request
            if self.cycle.response_started:
                answer = None
            self.cycle.disconnected = True
            self.cycle.waiting_for_100_continue = False
            self.cycle.message_event.set()
        self._end(answer)

    def _answer(self, reason: Reason) -> bytes:
        return answer_of(reason, self._rules, self.url.partition(b"?")[0].decode("latin-1"))

    def _end(self, answer: bytes | None) -> None:
        """Closes the connection. With an answer, the peer gets a moment to read it, and its further bytes are discarded."""
        self._is_over = True
        self._waiting.clear()
        self._timer.stop()
        self.pipeline.clear()
        if answer is None:
            self.transport.abort()
            return
        self._flow.hold(False)
        self.transport.write(answer)
        end_writing(self.transport)
        self.loop.call_later(LINGER_S, self.transport.abort)

    # The time

    def _watch(self, *, may_parse: bool) -> None:
        self._timer.watch(self._what_is_due() if may_parse else Due.NOTHING, self._heads)

    def _what_is_due(self) -> Due:
        if not self._in_head:
            return Due.NOTHING if self.cycle.waiting_for_100_continue else Due.BODY
        if self._is_answering:
            return Due.NOTHING
        return Due.HEAD if self._head_begun or not self._heads else Due.REQUEST

    def _overdue(self, due: Due) -> None:
        if due is Due.BODY:
            self._refuse(Reason.BODY_TIMEOUT)
        elif due is Due.HEAD and self._head_begun:
            self._refuse(Reason.HEAD_TIMEOUT)
        else:
            self._is_over = True
            self.transport.close()
            self.loop.call_later(LINGER_S, self.transport.abort)
