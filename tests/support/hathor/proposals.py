"""A wallet that proposes and sends payments through a running API."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from strongroom.core.security.access import Principal
from strongroom.core.security.policy import Allowed, Granted, SignatureRequest
from strongroom.core.storage.database import upsert
from strongroom.hathor import tables
from strongroom.hathor.proposals.sweeper import ProposalSweep
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.protocol.transactions import Output, Transaction
from support.hathor.api import Api, recorded_node
from support.hathor.scenes import address
from support.hathor.signing import draft, sign
from support.sql import execute

FUNDS = "00000000" + "cd" * 28
KEYS = {(FUNDS, 0): 0, (FUNDS, 1): 0, (FUNDS, 7): 1}
EASY_WORK = {"min_tx_weight": 1.0, "min_tx_weight_coefficient": 0.0, "min_tx_weight_k": 0.0}
NOW_S = 1_800_000_000


def payment(*indexes: int, value: int = 500, weight: float = 8.0) -> Transaction:
    """Signed and mined; it spends these outputs of the recorded wallet."""
    payee = Output(value=value, token_data=0, script=Payment(address=address("payee")).encode())
    spent = [(FUNDS, index) for index in indexes]
    return sign(draft(spent, [payee], timestamp_s=NOW_S, weight=weight), KEYS)


@contextmanager
def admit_any(connection: Connection, wallet_id: str) -> Iterator[Granted]:
    """For tests that broadcast past the policy."""
    del connection
    wallet = Principal(name=f"wallet:{wallet_id}", scopes=frozenset())
    request = SignatureRequest(
        principal=wallet,
        scope="hathor:send",
        account=wallet_id,
        wallet=wallet_id,
        kind="TRANSFER",
        payload_hash=bytes(32),
    )
    yield Granted(request=request, signature=b"", allowed=Allowed())


def hexed(transaction: Transaction) -> dict[str, str]:
    return {"txHex": transaction.encode().hex()}


class Client:
    """The wallet's side of a running API."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.node = api.push_node
        self.lost: list[str] = []
        """Ids of payments that a sweep told of as lost."""

    async def announce(self, **rules: object) -> None:
        """What the node says of its network from now on: little work, unless `rules` say otherwise."""
        said = recorded_node()["GET /v1a/version"] | EASY_WORK | rules
        row = {"id": 1, "timestamp": self.api.clock.now_ms() // 1000, "data": json.dumps(said)}
        await self.api.database.write(lambda c: upsert(c, tables.version_data, [row], ["timestamp", "data"]))

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        response = await self.api.client.request(method, path, json=body, headers=self.api.full())
        return response.status_code, response.json()

    async def ask_openly(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Without a token."""
        response = await self.api.client.request(method, path, json=body, headers={"Host": "localhost"})
        return response.status_code, response.json()

    async def propose(self, transaction: Transaction) -> str:
        status, body = await self.ask("POST", "/tx/proposal", hexed(transaction))
        assert status == 201, body
        identifier: str = body["txProposalId"]
        return identifier

    async def refused(self, transaction: Transaction) -> dict[str, Any]:
        status, body = await self.ask("POST", "/tx/proposal", hexed(transaction))
        assert status == 400
        answer: dict[str, Any] = body
        return answer

    async def send(self, identifier: str, transaction: Transaction) -> tuple[int, Any]:
        return await self.ask("PUT", f"/tx/proposal/{identifier}", hexed(transaction))

    async def offered(self) -> set[int]:
        status, body = await self.ask("GET", "/wallet/tx_outputs")
        assert status == 200
        return {output["index"] for output in body["txOutputs"]}

    def sweep(self) -> ProposalSweep:
        def lost(_connection: Connection, payment_id: bytes) -> None:
            self.lost.append(payment_id.hex())

        return ProposalSweep(self.api.database, self.api.broadcaster, self.node, self.api.clock, lost)

    async def status(self, identifier: str) -> str:
        sql = "SELECT status FROM tx_proposal WHERE id = {}"
        rows = await self.api.database.read(lambda c: execute(c, sql, identifier))
        found: str = rows[0][0]
        return found

    async def rows_beside(self) -> int:
        """What our own tables hold of proposals."""

        def count(connection: Connection) -> int:
            tables = ("strongroom_hathor_proposal", "strongroom_hathor_held_output")
            return sum(execute(connection, f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables)  # noqa: S608 - our own names

        return await self.api.database.read(count)
