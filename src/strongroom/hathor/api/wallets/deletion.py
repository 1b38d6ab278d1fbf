"""`DELETE wallet`: for who holds a full token and, at this moment, the wallet's authentication key."""

import structlog
from litestar import Response

from strongroom.core.storage.database import Database
from strongroom.hathor.api.clients import Clients
from strongroom.hathor.api.refusal import Refusal
from strongroom.hathor.api.requests import Request, answer, bearer, read_body
from strongroom.hathor.api.validation import Key, Schema, number, text
from strongroom.hathor.api.wallets.registration import CLOCK_SKEW_S, check_clock
from strongroom.hathor.maintenance.deletion import take_out
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.messages import deletion_message, verify_message
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.jwt import Tokens

log = structlog.get_logger(__name__)

DELETION = Schema(
    keys={
        "timestamp": Key(check=number(positive=True), required=True),
        "signature": Key(check=text(), required=True),
    }
)


class DeletionRoute:
    def __init__(
        self,
        database: Database,
        reader: WalletReader,
        tokens: Tokens,
        clients: Clients,
        clock_skew_s: int = CLOCK_SKEW_S,
    ) -> None:
        self._clock_skew_s = clock_skew_s
        self._database = database
        self._reader = reader
        self._tokens = tokens
        self._clients = clients

    async def delete(self, request: Request) -> Response[bytes]:
        self._clients.take(request)
        principal = bearer(request, self._tokens, full=True)
        body = DELETION.check(await read_body(request))
        wallet = await self._reader.wallet(principal)
        check_clock(self._reader.now_s, body["timestamp"], self._clock_skew_s, "invalid-auth-signature")
        address = principal.auth_address or ""
        try:
            verify_message(
                deletion_message(body["timestamp"], wallet.id, address), body["signature"], address
            )
        except ProtocolError as error:
            message = "The signature is not that of the deletion by the wallet's authentication key"
            raise Refusal(400, "invalid-auth-signature", details=[{"message": message}]) from error
        await take_out(self._database, wallet.id)
        log.info("wallet deleted", wallet=wallet.id)
        return answer(walletId=wallet.id)
