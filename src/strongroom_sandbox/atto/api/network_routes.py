"""Routes about the network: its time and its votes."""

from http import HTTPStatus

import msgspec
from litestar import Controller, Response, get
from litestar.params import FromPath

from strongroom.atto.protocol import Address, InvalidAddress
from strongroom.core.clock import iso_instant
from strongroom_sandbox.atto.api.requests import instant_in_path
from strongroom_sandbox.atto.api.responses import NodeDependency, json_response
from strongroom_sandbox.atto.chain.genesis import GENESIS_PUBLIC_KEY
from strongroom_sandbox.atto.problems import Problem


class NetworkRoutes(Controller):
    @get("/instants/{client_instant:str}")
    async def time_difference(self, client_instant: FromPath[str], node: NodeDependency) -> Response[bytes]:
        client_ms = instant_in_path(client_instant)
        server_ms = node.clock.now_ms()
        document = {
            "clientInstant": _instant(client_ms),
            "serverInstant": _instant(server_ms),
            "differenceMillis": server_ms - client_ms,
        }
        return json_response(msgspec.json.encode(document))

    @get("/vote-weights/{address:str}")
    async def vote_weight(self, address: FromPath[str], node: NodeDependency) -> Response[bytes]:
        try:
            voter = Address.parse(address)
        except InvalidAddress:
            raise Problem(HTTPStatus.BAD_REQUEST, "Type mismatch.") from None
        votes = voter.public_key == GENESIS_PUBLIC_KEY
        document = {
            "address": voter.uri,
            "weight": node.chain.weight(voter.public_key),
            "lastVotedAt": node.ledger.last_vote_ms if votes else 0,
        }
        return json_response(msgspec.json.encode(document))


def _instant(timestamp_ms: int) -> str:
    """As the node writes it: the fraction of a second only where there is one."""
    return iso_instant(timestamp_ms).replace(".000Z", "Z")
