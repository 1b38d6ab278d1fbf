"""One of two processes that sign against one window's limit, each over a database node of its own.

    python -m support.window_racer first|second SOCKET DATABASE_URL ROUNDS

In every round both sign a payment to the round's destination, for which the limit has room for one of the two. They begin each
round together: each sends the other a byte over the socket, and waits for the other's. Prints how many it signed.
"""

import asyncio
import sys
from dataclasses import replace

from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from strongroom.core.clock import SystemClock
from strongroom.core.errors import Forbidden
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.signing import Signed, Signing, Unsigned
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SigningGate
from strongroom.core.storage.database import Database
from support.guarding import request
from support.trail import open_trail

AMOUNT = 600
LIMIT = 1_000
RULE = {
    "effect": "deny",
    "limit": {"amount_raw": str(LIMIT), "seconds": 86_400, "per": "destination"},
}
Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Payment:
    """See `core.intents.signing.Draft`."""

    def __init__(self, name: str, number: int) -> None:
        self._id = f"{name}-{number}".encode().ljust(32, b"-")
        asked = request(amount_raw=AMOUNT, destination=f"shop-{number}")
        self._asked = replace(asked, payload_hash=self._id)

    def prepare(self, connection: Connection) -> Unsigned:
        del connection
        return Unsigned(
            request=self._asked,
            slot=self._id,
            signer=lambda message: message,
            seal=lambda signature: Signed(id=self._id, payload=signature),
        )

    def on_signed(self, connection: Connection, intent: Intent) -> None:
        """Nothing more is stored."""


async def signed(signing: Signing, payment: Payment) -> bool:
    try:
        await signing.sign(payment)
    except Forbidden:
        return False
    return True


async def race(name: str, database: Database, rounds: int, peer: Peer) -> int:
    clock = SystemClock()
    gate = SigningGate(Guard(clock, Default.ALLOW, key=open_trail()), Audit(clock, open_trail()))
    signing = Signing("race", database=database, gate=gate, clock=clock, metrics=Metrics("race"))
    reader, writer = peer
    count = 0
    for number in range(rounds):
        writer.write(b".")
        await reader.readexactly(1)
        count += await signed(signing, Payment(name, number))
    return count


async def meet(name: str, socket: str) -> Peer:
    if name == "second":
        return await asyncio.open_unix_connection(socket)
    arrived: asyncio.Future[Peer] = asyncio.get_running_loop().create_future()
    await asyncio.start_unix_server(lambda *peer: arrived.set_result(peer), socket)
    sys.stdout.write("listens\n")
    return await arrived


async def main(name: str, socket: str, url: str, rounds: str) -> None:
    database = Database(make_url(url))
    peer = await meet(name, socket)
    sys.stdout.write(f"signed {await race(name, database, int(rounds), peer)}\n")
    peer[1].close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
