"""Signs messages with the service, or with the local hotkey while the service is away.

To sign a message twice does no harm, so the outcome of a request without an answer does not matter.
"""

import logging
from typing import Any, Protocol

from strongroom.bittensor.client.breaker import Breaker
from strongroom.bittensor.client.local import LocalWallet
from strongroom.bittensor.client.service import Service, ServiceError

log = logging.getLogger(__name__)


class Signed(Protocol):
    """A key whose signature is wanted."""

    wallet_name: str
    hotkey_name: str
    ss58_address: str
    role: str


class MessageSigner:
    """`local` is a wallet of the SDK whose hotkey may lie on this machine, or None."""

    def __init__(self, service: Service, breaker: Breaker, local: Any) -> None:
        self.service = service
        self._breaker = breaker
        self._local = local

    def sign(self, key: Signed, message: str, kind: str) -> bytes:
        """64 bytes.

        Raises:
            ServiceError: the service refuses; or it is away, and the key is not on this machine.
        """
        local = self._local_key(key)
        if local is not None and not self._breaker.allows():
            return bytes(local.sign(message))
        try:
            answer = self.service.sign(key.wallet_name, key.hotkey_name, message, kind)
        except ServiceError as error:
            if not error.away:
                self._breaker.worked()  # a refusal is an answer: the next caller need not keep away
                raise
            self._breaker.failed()
            if local is None:
                raise
            log.warning("%s: the local hotkey signs messages", error)
            return bytes(local.sign(message))
        self._breaker.worked()
        return bytes.fromhex(answer["signature"].removeprefix("0x"))

    def _local_key(self, key: Signed) -> Any | None:
        """The same hotkey on this machine, if it is there: a signature of another one would be useless."""
        path = LocalWallet.hotkey_path(self._local)
        if key.role != "hotkey" or path is None or not path.is_file():
            return None
        local = self._local.hotkey
        return local if local.ss58_address == key.ss58_address else None
