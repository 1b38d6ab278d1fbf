"""The routes of the wallet service."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from strongroom.bittensor.client.transport import NoAnswer, NotDelivered, ServiceResponse, Transport

PROBE_S = 5.0
QUESTION_S = 15.0


class ServiceError(Exception):
    """The service refused, or did not answer, a request that signs nothing on the chain."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        """0: there was no answer."""
        self.code = code
        """The service's own, which does not change with the wording."""

    @property
    def away(self) -> bool:
        """Whether the service is at fault, not the request."""
        return self.status == 0 or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR


class Service:
    """Has one method for each route, and makes no decisions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.url = transport.url

    def probe(self) -> str | None:
        """Why the service takes no requests, or None if it does. The question cannot cause a signature."""
        try:
            answer = self._transport.ask("GET", "/health", timeout_s=PROBE_S)
        except (NotDelivered, NoAnswer) as error:
            return str(error)
        return (
            None
            if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
            else f"its health answered {answer.status}"
        )

    def submit(self, path: str, document: dict[str, Any], key: str, timeout_s: float) -> ServiceResponse:
        """Asks the service to sign and to submit.

        Raises:
            NotDelivered, NoAnswer: as the transport's.
        """
        return self._transport.ask(
            "POST", path, document, headers={"Idempotency-Key": key}, timeout_s=timeout_s
        )

    def job(self, key: str) -> ServiceResponse:
        """What became of the request with this key.

        Raises:
            NotDelivered, NoAnswer: as the transport's.
        """
        return self._transport.ask("GET", f"/wallet/jobs/{key}", timeout_s=QUESTION_S)

    def sign(self, wallet_name: str, hotkey_name: str, message: str, message_type: str) -> dict[str, Any]:
        """Signature of a message that is no extrinsic: `{signature, message, ss58_address}`."""
        return self._question(
            "POST",
            "/wallet/sign",
            {
                "wallet_name": wallet_name,
                "hotkey_name": hotkey_name,
                "message": message,
                "message_type": message_type,
            },
        )

    def verify(self, wallet_name: str, hotkey_name: str, message: str, signature: str) -> bool:
        document = {
            "wallet_name": wallet_name,
            "hotkey_name": hotkey_name,
            "message": message,
            "signature": signature,
        }
        return self._question("POST", "/wallet/verify", document).get("is_valid") is True

    def info(self, wallet_name: str, hotkey_name: str) -> dict[str, Any]:
        """Addresses of a wallet: `{wallet_name, hotkey_name, hotkey_address, coldkey_address, is_unlocked}`."""
        query = urlencode({"wallet_name": wallet_name, "hotkey_name": hotkey_name})
        return self._question("GET", f"/wallet/info?{query}")

    def post(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        return self._question("POST", path, document)

    def _question(self, method: str, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = self._transport.ask(method, path, document, timeout_s=QUESTION_S)
        except (NotDelivered, NoAnswer) as error:
            raise ServiceError(0, f"the wallet service at {self.url} did not answer: {error}") from error
        if answer.status != HTTPStatus.OK:
            code = str(answer.document.get("code") or "")
            raise ServiceError(answer.status, f"the wallet service refused: {reason(answer)}", code)
        return answer.document


def reason(answer: ServiceResponse) -> str:
    """The text of the service's error body, for people."""
    said = answer.document.get("detail") or answer.document.get("error") or answer.document.get("message")
    if isinstance(said, dict):
        said = said.get("message") or said.get("name")
    return f"{said} (HTTP {answer.status})" if said else f"HTTP {answer.status}"
