"""The example ledger in the world of intents."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.core.intents.intent import Intent, Verdict
from strongroom.core.intents.network import Effects, Network
from strongroom.core.intents.signing import Draft, Unsigned
from strongroom.core.intents.store import load_intent
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from support.intents import example_ledger as example
from support.intents.signing_model import InTheWay, SigningModel
from support.intents.world import Side

ACCOUNTS = ("alice", "bob")
RIVAL = 1_000_000
"""Amounts of the other wallet begin here."""


class ExampleModel(SigningModel):
    accounts: Sequence[str] = ACCOUNTS

    def __init__(self) -> None:
        self.chain = example.ExampleChain()
        self._offered: list[bytes] = []
        self._rivals = 0

    async def new_database(self, folder: Path) -> URL:
        path = folder / "example.sqlite3"
        shutil.copy(await _template(), path)
        return sqlite_url(str(path))

    def connect(self, side: Side, database: Database) -> tuple[Network, Effects[Any]]:
        del database
        return _SidedNode(side, self.chain, self._offered), example.ExampleEffects()

    def draft(self, side: Side, account: str, amount: int) -> Draft:
        del side
        return _Pay(example.Pay(account=account, amount=amount))

    def draft_refused(self, side: Side, account: str, amount: int) -> Draft:
        return self.draft(side, account, amount + example.LARGEST)

    def take_next_place(self, account: str) -> None:
        self._rivals += 1
        number = len(self.chain.taken.get(account, []))
        unsigned = example.Payment(account=account, number=number, amount=1, memo=f"rival {self._rivals}")
        signature = example.sign_digest(unsigned.digest)
        assert self.chain.submit(example.Payment(**{**_fields(unsigned), "signature": signature})) is None

    def amounts_on_chain(self, account: str) -> list[int]:
        return [one.amount for one in self.chain.taken.get(account, []) if not one.memo]

    def is_on_chain(self, intent: Intent) -> bool:
        payment = example.payment_of(intent)
        return self.chain.at(payment.account, payment.number) == payment

    def may_still_be(self, intent: Intent) -> bool:
        payment = example.payment_of(intent)
        is_free = self.chain.at(payment.account, payment.number) is None
        return is_free and payment.amount <= example.LARGEST and intent.id in self._offered

    def offered(self) -> list[bytes]:
        return self._offered

    async def books_are_right(self, database: Database, account: str) -> bool:
        return await example.paid(database, account) == sum(self.amounts_on_chain(account))


def _fields(payment: example.Payment) -> dict[str, Any]:
    return {name: getattr(payment, name) for name in payment.__struct_fields__}


@dataclass(frozen=True, slots=True)
class _Pay:
    pay: example.Pay

    def prepare(self, connection: Connection) -> Unsigned:
        try:
            return self.pay.prepare(connection)
        except example.InTheWay as found:
            intent = load_intent(connection, found.intent_id)
            assert intent is not None
            if intent.is_open:
                raise InTheWay(intent) from None
            raise

    def on_signed(self, connection: Connection, intent: Intent) -> None:
        self.pay.on_signed(connection, intent)


class _SidedNode:
    """The node of one replica."""

    def __init__(self, side: Side, chain: example.ExampleChain, offered: list[bytes]) -> None:
        self._side = side
        self._node = example.ExampleNode(chain)
        self._offered = offered

    async def offer(self, intent: Intent) -> Verdict:
        if (fault := await self._side.arrive()) is not None:
            self._node.faults.append(fault)
        if fault != "no connection":
            self._offered.append(intent.id)
        try:
            return await self._node.offer(intent)
        finally:
            await self._side.step()

    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        if (fault := await self._side.arrive()) is not None:
            self._node.faults.append(fault)
        verdicts = await self._node.follow(intents)
        await self._side.step()
        return verdicts


@cache
def _template_folder() -> Path:
    return Path(mkdtemp(prefix="strongroom-example-"))


async def _template() -> Path:
    """A migrated database with its accounts, made once."""
    path = _template_folder() / "template.sqlite3"
    if not path.exists():
        database = Database(sqlite_url(str(path)))
        await migrate(database, [])
        await example.open_accounts(database, *ACCOUNTS)
        await database.close()
    return path
