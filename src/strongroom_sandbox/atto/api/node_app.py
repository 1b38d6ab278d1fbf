"""The node's API as an application."""

from http import HTTPStatus

from litestar import Controller, Litestar, Response, post

from strongroom.atto.protocol import ProtocolError, encode_account_entry
from strongroom_sandbox.atto.api.account_routes import AccountRoutes, EntryRoutes, ReceivableRoutes
from strongroom_sandbox.atto.api.network_routes import NetworkRoutes
from strongroom_sandbox.atto.api.requests import parse_faucet_request, read_body
from strongroom_sandbox.atto.api.responses import NodeDependency, json_response
from strongroom_sandbox.atto.api.transaction_routes import AccountTransactionRoutes, TransactionRoutes
from strongroom_sandbox.atto.chain.rejection import Rejected
from strongroom_sandbox.atto.faults.breakable import Breakage, breakable_app
from strongroom_sandbox.atto.node.node import Node
from strongroom_sandbox.atto.problems import AnyRequest, Problem


class _FaucetRoutes(Controller):
    @post("/_faucet", status_code=200)
    async def send(self, request: AnyRequest, node: NodeDependency) -> Response[bytes]:
        address, amount_raw = await read_body(request, parse_faucet_request)
        try:
            entry = await node.faucet(address, amount_raw)
        except (ProtocolError, Rejected) as error:
            raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from None
        return json_response(encode_account_entry(entry))


def create_node_app(node: Node) -> Litestar:
    """Every route of a historical node, `POST /_faucet` and `/_fault`."""
    return breakable_app(
        [
            AccountRoutes,
            ReceivableRoutes,
            EntryRoutes,
            AccountTransactionRoutes,
            TransactionRoutes,
            NetworkRoutes,
            _FaucetRoutes,
        ],
        {"node": node},
        node.clock,
        Breakage(
            faults=node.faults,
            effect_path="/transactions",
            cut_streams=node.hub.streams.cut_all,
            restart=node.restart,
        ),
    )
