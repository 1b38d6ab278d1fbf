"""Firebase Cloud Messaging over its HTTP v1 interface, with a service account's key.

Source: the interface's reference, projects.messages.send and ErrorCode; RFC 7523 for the assertion.
"""

import asyncio
import enum
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol

import jwt
import msgspec

from strongroom.core.clock import Clock
from strongroom.core.errors import Unavailable
from strongroom.core.http.outbound.client import HttpClient, OutboundError
from strongroom.core.json_decoder import decode_json
from strongroom.hathor.notifications.settings import ServiceAccount

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_S = 3600
EARLY_S = 60.0
"""An access token is replaced so long before its end, so that it does not end on its way."""
TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 2**20
MAX_PAUSE_S = 600.0


class PushResult(enum.StrEnum):
    SENT = "sent"
    UNREGISTERED = "unregistered"
    """The device is gone."""
    REFUSED = "refused"
    """FCM will never take this message."""


class NotSent(Unavailable):
    """The message may be sent again. `pause_s`: for so long FCM wants no request."""

    def __init__(self, message: str, pause_s: float = 0.0) -> None:
        super().__init__(message)
        self.pause_s = pause_s


class PushService(Protocol):
    async def send(self, device_id: str, data: Mapping[str, str]) -> PushResult: ...


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int


class _Violation(msgspec.Struct, frozen=True):
    field: str = ""


class _Detail(msgspec.Struct, frozen=True, rename="camel"):
    error_code: str = ""
    field_violations: list[_Violation] = []


class _Error(msgspec.Struct, frozen=True):
    status: str = ""
    details: list[_Detail] = []


class _Failure(msgspec.Struct, frozen=True):
    error: _Error = _Error()


class Fcm:
    """One project. `url` is the interface's base, `https://fcm.googleapis.com`."""

    def __init__(self, account: ServiceAccount, url: str, clock: Clock) -> None:
        self._account = account
        self._url = f"{url.rstrip('/')}/v1/projects/{account.project_id}/messages:send"
        self._clock = clock
        self._client = HttpClient()
        self._token = ""
        self._good_until_s = 0.0
        self._turn = asyncio.Lock()

    async def send(self, device_id: str, data: Mapping[str, str]) -> PushResult:
        """Sends one message. Raises: NotSent."""
        body = msgspec.json.encode({"message": _message(device_id, data)})
        token = await self._access_token()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        status, answer, pause_s = await self._post(self._url, data=body, headers=headers)
        if status == HTTPStatus.OK:
            return PushResult.SENT
        return self._judge(status, answer, pause_s)

    async def close(self) -> None:
        await self._client.close()

    def _judge(self, status: int, answer: bytes, pause_s: float) -> PushResult:
        try:
            error = decode_json(answer, _Failure).error
        except msgspec.DecodeError:
            error = _Error()
        codes = {detail.error_code for detail in error.details}
        fields = {violation.field for detail in error.details for violation in detail.field_violations}
        if "UNREGISTERED" in codes or (status == HTTPStatus.BAD_REQUEST and "message.token" in fields):
            return PushResult.UNREGISTERED
        if status == HTTPStatus.BAD_REQUEST:
            return PushResult.REFUSED
        # Google withdrew the access token early: the next message gets a new one.
        if status == HTTPStatus.UNAUTHORIZED and "THIRD_PARTY_AUTH_ERROR" not in codes:
            self._good_until_s = 0.0
        # Anything else passes, or is a mistake of the installation (project, permission, APNs). The device stays.
        reason = next(iter(sorted(code for code in codes if code)), error.status)
        raise NotSent(f"FCM answered {status} {reason}".strip(), pause_s)

    async def _access_token(self) -> str:
        async with self._turn:
            if self._clock.monotonic_s() >= self._good_until_s:
                form = {"grant_type": GRANT, "assertion": self._assertion()}
                status, answer, pause_s = await self._post(self._account.token_url, data=form)
                if status != HTTPStatus.OK:
                    raise NotSent(f"The service account's token was refused with {status}", pause_s)
                try:
                    token = decode_json(answer, _Token)
                except msgspec.DecodeError as error:
                    raise NotSent("The answer for the service account's token is not understood") from error
                self._token = token.access_token
                self._good_until_s = self._clock.monotonic_s() + token.expires_in - EARLY_S
            return self._token

    def _assertion(self) -> str:
        account, now_s = self._account, self._clock.now_ms() // 1000
        claims = {
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": account.token_url,
            "iat": now_s,
            "exp": now_s + ASSERTION_S,
        }
        headers = {"kid": account.key_id} if account.key_id else None
        return jwt.encode(claims, account.private_key.reveal(), algorithm="RS256", headers=headers)

    async def _post(self, url: str, **request: Any) -> tuple[int, bytes, float]:
        """Returns status, body, and the pause that the answer asks for."""
        try:
            answer = await self._client.ask(
                "POST", url, timeout_s=TIMEOUT_S, max_bytes=MAX_ANSWER_BYTES, **request
            )
        except OutboundError as error:
            raise NotSent(f"FCM is not reachable: {error}") from error
        return answer.status, answer.content, _pause(answer.headers.get("retry-after"))


def _message(device_id: str, data: Mapping[str, str]) -> dict[str, Any]:
    """Builds a message of data without text: the app finds the words in its language."""
    return {
        "token": device_id,
        "data": dict(data),
        "android": {"priority": "high"},
        "apns": {"headers": {"apns-priority": "5"}, "payload": {"aps": {"content-available": 1}}},
    }


def _pause(retry_after: str | None) -> float:
    """Reads the header, in seconds; FCM sends no dates."""
    if retry_after is None or not retry_after.isdecimal():
        return 0.0
    return min(float(retry_after), MAX_PAUSE_S)
