"""Firebase Cloud Messaging as its HTTP v1 interface speaks, with the token server beside it."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from strongroom.core.environment import Secret
from strongroom.hathor.notifications.settings import ServiceAccount
from support.serving import serving

PROJECT = "wallets-1"
EMAIL = "push@wallets-1.iam.gserviceaccount.com"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    retry_after: str | None = None


def failure(
    status: int, name: str, code: str, *, invalid_field: str | None = None, retry_after: str | None = None
) -> Answer:
    """An error's body as FCM writes it."""
    details: list[dict[str, Any]] = [{"@type": FCM_ERROR, "errorCode": code}]
    if invalid_field:
        violation = {"field": invalid_field, "description": "Invalid"}
        details.append({"@type": BAD_REQUEST, "fieldViolations": [violation]})
    error = {"code": status, "message": "in words", "status": name, "details": details}
    return Answer(status, {"error": error}, retry_after)


UNREGISTERED = failure(404, "NOT_FOUND", "UNREGISTERED")
INVALID_TOKEN = failure(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", invalid_field="message.token")
INVALID_MESSAGE = failure(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", invalid_field="message.data")
OTHER_SENDER = failure(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH")
NO_PROJECT = Answer(404, {"error": {"code": 404, "message": "no such project", "status": "NOT_FOUND"}})
APNS = failure(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR")
UNAVAILABLE = failure(503, "UNAVAILABLE", "UNAVAILABLE", retry_after="30")
QUOTA = failure(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", retry_after="60")
INTERNAL = failure(500, "INTERNAL", "INTERNAL")
NO_JSON = Answer(502, "<html>")


@cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem() -> str:
    return (
        private_key()
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode()
    )


@dataclass(slots=True)
class FakeFcm:
    """An ASGI application. `answers` are given to a device's messages in turn, then all goes well."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)
    """Messages that were taken."""
    asked: int = 0
    assertions: list[dict[str, Any]] = field(default_factory=list)
    """Claims of assertions whose signature was right."""
    expires_in: int = 3600
    valid: set[str] = field(default_factory=set)
    url: str = ""

    def account(self) -> ServiceAccount:
        return ServiceAccount(
            project_id=PROJECT,
            client_email=EMAIL,
            private_key=Secret(private_pem()),
            key_id="key-7",
            token_url=f"{self.url}/token",
        )

    def account_file(self) -> str:
        """The same as the Firebase console writes it."""
        fields = {"type": "service_account", "project_id": PROJECT, "private_key_id": "key-7"}
        secret = {"private_key": private_pem(), "client_email": EMAIL, "token_uri": f"{self.url}/token"}
        return json.dumps(fields | secret)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if scope["path"] == "/token":
            answer = self._token(body)
        elif scope["path"] == f"/v1/projects/{PROJECT}/messages:send":
            answer = self._message(headers.get("authorization", ""), body)
        else:
            answer = NO_PROJECT
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        more = [(b"retry-after", answer.retry_after.encode())] if answer.retry_after else []
        await send({"type": "http.response.start", "status": answer.status, "headers": more})
        await send({"type": "http.response.body", "body": text.encode()})

    def _token(self, body: bytes) -> Answer:
        form = parse_qs(body.decode())
        try:
            assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            assertion = form["assertion"][0]
            assert jwt.get_unverified_header(assertion)["kid"] == "key-7"
            claims = jwt.decode(
                assertion,
                private_key().public_key(),
                algorithms=["RS256"],
                audience=f"{self.url}/token",
                options={"verify_exp": False, "verify_iat": False},
            )
        except (AssertionError, jwt.PyJWTError):
            return Answer(400, {"error": "invalid_grant"})
        self.assertions.append(claims)
        token = f"access-{len(self.assertions)}"
        self.valid.add(token)
        return Answer(200, {"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer"})

    def _message(self, authorization: str, body: bytes) -> Answer:
        self.asked += 1
        if authorization.removeprefix("Bearer ") not in self.valid:
            return Answer(401, {"error": {"code": 401, "message": "", "status": "UNAUTHENTICATED"}})
        message = json.loads(body)["message"]
        waiting = self.answers.get(message["token"])
        if waiting:
            return waiting.pop(0)
        self.sent.append(message)
        return Answer(200, {"name": f"projects/{PROJECT}/messages/{len(self.sent)}"})


@asynccontextmanager
async def running_fcm() -> AsyncGenerator[FakeFcm]:
    fcm = FakeFcm()
    async with serving(fcm) as url:
        fcm.url = url
        yield fcm
