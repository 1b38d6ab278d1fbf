"""An audit trail with payments, its checkpoints, and whoever tampers with them."""

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection

from strongroom.core.intents.intent import Intent
from strongroom.core.intents.store import adopt
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.trail.lanes import Lanes
from strongroom.core.storage.database import Database
from strongroom.core.transparency.file import CheckpointFile
from strongroom.core.transparency.inspection import Inspection, Report, TrailCheck
from strongroom.core.transparency.making import Checkpoints
from strongroom.core.transparency.proving import Proofs
from strongroom.core.transparency.verification import restart_of, verify
from support.clock import ManualClock

LEDGER = "toy"
SECRET = bytes(range(32))
HEADS = "strongroom_audit_lane"
LANE = 0
"""The lane of every row: all of them together make the tests' numbers."""
TRAIL = ("strongroom_audit", HEADS)
CHECKPOINTS = ("strongroom_checkpoint", "strongroom_checkpoint_state")


def make_audit(clock: ManualClock, key: TrailKey) -> Audit:
    """All connections append to one lane."""
    return Audit(clock, key, Lanes(slots=1, width=1))


@dataclass(kw_only=True)
class Trail:
    database: Database
    clock: ManualClock
    file: CheckpointFile | None = None
    key: TrailKey = field(default_factory=lambda: TrailKey(SECRET))
    older: str = ""
    """A dump of the trail as it was before."""

    def __post_init__(self) -> None:
        self.audit = make_audit(self.clock, self.key)
        self.checkpoints = self.process()
        self.proofs = Proofs(LEDGER, self.database)

    def process(self, file: CheckpointFile | None = None) -> Checkpoints:
        """As another process of the service makes checkpoints."""
        return Checkpoints(LEDGER, self.database, self.key, self.clock, file or self.file)

    async def record(self, subject: str, action: str = "freeze", **details: Any) -> None:
        principal = Principal(name="token:ann", scopes=frozenset())
        append = partial(
            self.audit.append, principal=principal, action=action, subject=subject, details=details
        )
        await self.database.write(append)

    async def pay(self, number: int, *, account: str = "alice") -> bytes:
        """Signs a payment; returns its id."""
        payment_id = number.to_bytes(32, "big")
        known: dict[str, Any] = {
            "account": account,
            "slot": None,
            "kind": "SEND",
            "payload": b"signed",
            "principal": "token:ann",
            "request": json.dumps({"hash": payment_id.hex().upper()}),
            "stage": "signed",
            "created_at_ms": self.clock.now_ms(),
        }
        intent = Intent(id=payment_id, **known)
        principal = Principal(name="token:ann", scopes=frozenset())

        def work(connection: Connection) -> None:
            adopt(connection, intent)
            details = {"kind": "SEND", "hash": payment_id.hex().upper(), "amountRaw": "7"}
            self.audit.append(connection, principal, "sign", account, details)

        await self.database.write(work)
        return payment_id

    async def verify(self, *kept: Any, checks: tuple[TrailCheck, ...] = ()) -> Report:
        return await self.inspection(checks).run(kept)

    def inspection(self, checks: tuple[TrailCheck, ...] = ()) -> Inspection:
        chains = partial(verify, self.database, self.key)
        restarted = partial(restart_of, self.database, self.key)
        return Inspection(LEDGER, self.database, self.checkpoints.public_key, chains, checks, restarted)

    async def codes(self, *kept: Any) -> set[str]:
        return {found.code for found in (await self.verify(*kept)).findings}

    async def sql(self, *statements: str) -> None:
        """What a thief with the database's password does."""

        def work(connection: Connection) -> None:
            for statement in statements:
                connection.exec_driver_sql(statement)

        await self.database.write(work)

    async def dump(self, *tables: str) -> str:
        """These tables as they are now, so that they can be put back later."""

        def work(connection: Connection) -> dict[str, list[dict[str, Any]]]:
            return {
                table: [dict(row._mapping) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")]  # noqa: S608
                for table in tables
            }

        found = await self.database.read(work)
        return json.dumps(found, default=lambda value: {"hex": bytes(value).hex()})

    async def restore(self, dump: str) -> None:
        """Puts tables back as they were."""

        def plain(value: Any) -> Any:
            return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value

        def work(connection: Connection) -> None:
            mark = "?" if connection.dialect.name == "sqlite" else "%s"
            for table, rows in json.loads(dump).items():
                connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608
                for row in rows:
                    names, marks = ", ".join(f"`{name}`" for name in row), ", ".join(mark for _ in row)
                    connection.exec_driver_sql(
                        f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608
                        tuple(plain(value) for value in row.values()),
                    )

        await self.database.write(work)
