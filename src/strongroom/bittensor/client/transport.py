"""HTTP to the wallet service with the standard library alone, so that a node needs no other package."""

import http.client
import json
import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

MAX_ANSWER_BYTES = 16 * 2**20
MAX_DIGITS = 6
CHUNK_BYTES = 65_536


class NotDelivered(Exception):
    """No byte of the request reached the service: nothing can have been signed."""


class NoAnswer(Exception):
    """The request may have reached the service, and no answer came back."""


@dataclass(frozen=True, slots=True)
class ServiceResponse:
    status: int
    document: dict[str, Any]
    """The JSON object of the body; empty when the body is none."""
    retry_after_s: float | None = None


class Transport:
    """Requests with a bearer token, each over a connection of its own.

    TLS is verified against the system's authorities, or those that `SSL_CERT_FILE` names.
    """

    def __init__(self, url: str, token: str, *, connect_timeout_s: float = 5.0) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(
                f"the wallet service's URL must be http://host:port or https://host, not {url!r}"
            )
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        if not (token.isascii() and token.isprintable() and token and " " not in token):
            # http.client would refuse it too, and show it
            raise ValueError(
                "the wallet service's token must be ASCII letters, digits and signs, without spaces"
            )
        self._token = token
        self._connect_timeout_s = connect_timeout_s

    def ask(
        self,
        method: str,
        path: str,
        document: dict[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
        timeout_s: float,
    ) -> ServiceResponse:
        """Asks once.

        Raises:
            NotDelivered: no connection (name, network, TLS).
            NoAnswer: the connection ended, or the time, before an answer was whole.
        """
        connection = self._connect()
        try:
            connection.sock.settimeout(timeout_s)
            body = None if document is None else json.dumps(document).encode()
            sent = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", **(headers or {})}
            if body is not None:
                sent["Content-Type"] = "application/json"
            connection.request(method, self._prefix + path, body, sent)
            response = connection.getresponse()
            text = _read(response, time.monotonic() + timeout_s)
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()
        return ServiceResponse(response.status, _document(text), _seconds(response.getheader("Retry-After")))

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._connect_timeout_s)
        else:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._connect_timeout_s, context=self._tls
            )
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise NotDelivered(f"{type(error).__name__}: {error}") from error
        return connection


def _read(response: http.client.HTTPResponse, until_s: float) -> bytes:
    """Reads the whole body, within a limit of size and a limit of time that a slow sender cannot extend."""
    text = b""
    while chunk := response.read1(CHUNK_BYTES):
        text += chunk
        if len(text) > MAX_ANSWER_BYTES:
            raise http.client.HTTPException("the answer has no end")
        if time.monotonic() > until_s:
            raise TimeoutError("the answer did not end in time")
    if response.length:
        raise http.client.IncompleteRead(text, response.length)
    return text


def _document(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)  # noqa: TID251 - a client has the standard library only
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _seconds(text: str | None) -> float | None:
    """Reads a small integer; None if it is something else, for example a date. `isdigit` alone would accept "²"."""
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    return float(text) if text is not None and is_number else None
