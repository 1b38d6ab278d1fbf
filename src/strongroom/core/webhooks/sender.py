"""Sends one event to one endpoint, once, and says what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from strongroom.core.clock import Clock
from strongroom.core.errors import InvalidInput
from strongroom.core.http.outbound.client import HttpClient, OutboundError, TargetRefused
from strongroom.core.http.outbound.resolver import Lookup, ThreadResolver, system_lookup
from strongroom.core.http.outbound.targets import Reach
from strongroom.core.webhooks.settings import NETWORKS
from strongroom.core.webhooks.signatures import signed_headers

TIMEOUT_S: Final = 15.0
"""For everything: the name, the connection, the request and the head of the answer."""
SHOWN_BYTES: Final = 500
"""The variable that allows other addresses than public ones."""
USER_AGENT: Final = "strongroom-webhooks/1"
_RETRYING: Final = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_TROUBLES: Final[Mapping[str, str]] = {
    "ClientConnectorDNSError": "its name has no address",
    "ClientConnectorCertificateError": "its certificate is not trusted",
    "ClientConnectorSSLError": "it speaks no TLS that this service accepts",
    "ClientConnectorError": "nothing can be connected there",
    "ConnectionTimeoutError": "it takes no connection in time",
    "TimeoutError": f"it has not answered within {TIMEOUT_S:.0f} seconds",
    "ServerDisconnectedError": "it closed the connection before it answered",
    "ClientOSError": "the connection broke before it answered",
}
"""What an operator can look after, by the client's name for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one attempt."""

    status: int | None
    """None: there was no answer."""
    trouble: str | None
    """Why it failed; None: the endpoint took the event. It contains neither the URL nor what the endpoint wrote."""
    pause_s: int = 0
    """What the endpoint asks for before the next attempt."""
    body: str = ""
    """The beginning of the answer, where it was asked for."""

    @property
    def is_taken(self) -> bool:
        return self.trouble is None

    @property
    def is_gone(self) -> bool:
        """The endpoint says that it wants no more events."""
        return self.status == HTTPStatus.GONE


class Sender:
    """Has connections of its own, so that one endpoint takes none from another. The owner closes it."""

    def __init__(self, reach: Reach, clock: Clock, lookup: Lookup = system_lookup) -> None:
        self._reach = reach
        self._clock = clock
        headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
        self._client = HttpClient(headers, check=reach.check, resolver=ThreadResolver(lookup))

    async def send(
        self, url: str, event_id: str, body: bytes, secrets: Sequence[str], *, shows_body: bool = False
    ) -> Answer:
        """Never raises for what the endpoint does. Redirects are not followed: they count as failures."""
        try:
            self._reach.check_url(url)  # what was allowed once may not be any more
            answer = await self._client.ask(
                "POST",
                url,
                data=body,
                headers=signed_headers(event_id, body, secrets, self._clock.now_ms()),
                timeout_s=TIMEOUT_S,
                max_bytes=SHOWN_BYTES,
                reads_content=shows_body,
                cuts_content=True,
            )
        except InvalidInput as error:
            return Answer(status=None, trouble=error.message)
        except TargetRefused:
            return Answer(
                status=None, trouble=f"its host leads to an address that is not public: see {NETWORKS}"
            )
        except OutboundError as error:
            why = _TROUBLES.get(str(error), f"it answered with no HTTP ({error})")
            return Answer(status=None, trouble=f"no answer: {why}")
        status = answer.status
        shown = "".join(each for each in answer.content.decode(errors="replace") if each.isprintable())
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return Answer(status=status, trouble=None, body=shown)
        why = f"it answered with status {status}"
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            why += ": redirects are not followed"
        pause_s = _pause_s(answer.headers.get("Retry-After", "")) if status in _RETRYING else 0
        return Answer(status=status, trouble=why, pause_s=pause_s, body=shown)

    async def close(self) -> None:
        await self._client.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Senders:
    """Makes senders, one for each endpoint."""

    reach: Reach
    """Where endpoints may be."""
    clock: Clock
    lookup: Lookup = system_lookup

    def make(self) -> Sender:
        return Sender(self.reach, self.clock, self.lookup)


def _pause_s(text: str) -> int:
    """A whole number of seconds; a date counts as nothing."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < len("1000000") else 0
