"""A ledger as small as one can be, on the engine of intents: accounts that pay, each payment with the next number.

The chain takes a payment once, if it has the account's next number and is no larger than `LARGEST`. `ExampleNode` is the way
to it: it can lose a request, lose an answer, and claim not to know what the chain has.
"""

import hashlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, select, update

from strongroom.core.errors import Conflict, Unavailable
from strongroom.core.intents.intent import Accepted, Intent, Pending, Rejected, Unknown, Verdict
from strongroom.core.intents.signing import Signed, Unsigned
from strongroom.core.intents.store import load_by_slot
from strongroom.core.security.access import Principal
from strongroom.core.security.policy import SignatureRequest
from strongroom.core.storage.database import Database, locking

LARGEST = 1_000
TAKEN = "taken"
RULE = "rule"
WITHDRAWN = "withdrawn"
REFUSED = "refused"
CALLER = Principal(name="shop", scopes=frozenset({"example:pay"}))
Fault = Literal["no connection", "lost request", "late request", "refusal", "lost answer", "lie"]

metadata = MetaData()
account_table = Table(
    "example_account",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("next_number", Integer, nullable=False),
    Column("paid", Integer, nullable=False),
)


class Payment(msgspec.Struct, frozen=True):
    account: str
    number: int
    amount: int
    memo: str
    signature: bytes = b""

    @property
    def slot(self) -> bytes:
        return f"{self.account}/{self.number}".encode()

    @property
    def digest(self) -> bytes:
        unsigned = msgspec.structs.replace(self, signature=b"")
        return hashlib.sha256(msgspec.json.encode(unsigned)).digest()


def sign_digest(digest: bytes) -> bytes:
    """What a key would do."""
    return hashlib.sha256(b"key" + digest).digest()


def payment_of(intent: Intent) -> Payment:
    return msgspec.json.decode(intent.payload, type=Payment)


@dataclass(slots=True)
class ExampleChain:
    """The truth: what each account paid, by number."""

    taken: dict[str, list[Payment]] = field(default_factory=dict)

    def submit(self, payment: Payment) -> str | None:
        """None: taken, now or before; else the rule that refuses it."""
        assert payment.signature == sign_digest(payment.digest)
        before = self.taken.setdefault(payment.account, [])
        if payment.number < len(before):
            return None if before[payment.number] == payment else TAKEN
        if payment.amount > LARGEST:
            return RULE
        if payment.number > len(before):
            return "gap"
        before.append(payment)
        return None

    def at(self, account: str, number: int) -> Payment | None:
        before = self.taken.get(account, [])
        return before[number] if number < len(before) else None


@dataclass(slots=True)
class ExampleNode:
    """The network of the example. Each `faults` entry befalls one request, in their order; None: it goes well."""

    chain: ExampleChain
    faults: deque[Fault | None] = field(default_factory=deque)
    offers: list[bytes] = field(default_factory=list)
    late: list[Payment] = field(default_factory=list)
    """What is under way for long."""

    def arrive(self) -> None:
        """What was under way reaches the chain."""
        while self.late:
            self.chain.submit(self.late.pop(0))

    async def offer(self, intent: Intent) -> Verdict:
        fault = self.faults.popleft() if self.faults else None
        if fault == "no connection":
            return Rejected(reason="It was never sent", stage=WITHDRAWN, if_unshared=True)
        self.offers.append(intent.payload)
        if fault == "lost request":
            raise Unavailable("The node does not answer")
        if fault == "late request":
            self.late.append(payment_of(intent))
            raise Unavailable("The node does not answer in time")
        if fault == "refusal":
            return Rejected(reason="The node refuses it", stage=REFUSED, if_unshared=True)
        refusal = self.chain.submit(payment_of(intent))
        if fault == "lost answer":
            raise Unavailable("The node fell silent")
        if fault == "lie":
            return Unknown(why="The node says what cannot be")
        return _judge(refusal)

    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        fault = self.faults.popleft() if self.faults else None
        if fault in {"no connection", "lost request", "lost answer"}:
            raise Unavailable("The node does not answer")
        return {one.id: self._look(one, is_lying=fault == "lie") for one in intents}

    def _look(self, intent: Intent, *, is_lying: bool) -> Verdict:
        payment = payment_of(intent)
        found = self.chain.at(payment.account, payment.number)
        if found is None or is_lying:
            return Unknown(why="The node does not have it")
        return Accepted() if found == payment else Rejected(reason="Another has its number", stage=TAKEN)


def _judge(refusal: str | None) -> Verdict:
    match refusal:
        case None:
            return Accepted()
        case "taken":
            return Rejected(reason="Another has its number", stage=TAKEN)
        case "rule":
            return Rejected(reason="It is too large", stage=RULE)
        case _:
            return Unknown(why=f"The node refused it, which may pass: {refusal}")


class InTheWay(Conflict):
    """An earlier payment of the account is open."""

    def __init__(self, intent_id: bytes) -> None:
        super().__init__("An earlier payment is open")
        self.intent_id = intent_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Pay:
    """A draft: the next payment of an account."""

    account: str
    amount: int
    memo: str = ""
    principal: Principal = CALLER

    def prepare(self, connection: Connection) -> Unsigned:
        row = _locked(connection, self.account)
        slot = Payment(account=self.account, number=row, amount=0, memo="").slot
        if (earlier := _open_in(connection, slot)) is not None:
            raise InTheWay(earlier)
        payment = Payment(account=self.account, number=row, amount=self.amount, memo=self.memo)

        def seal(signature: bytes) -> Signed:
            signed = msgspec.structs.replace(payment, signature=signature)
            return Signed(id=payment.digest, payload=msgspec.json.encode(signed))

        request = SignatureRequest(
            principal=self.principal,
            scope="example:pay",
            account=self.account,
            kind="PAY",
            payload_hash=payment.digest,
            amount_raw=self.amount,
        )
        return Unsigned(
            request=request, slot=slot, signer=sign_digest, seal=seal, notes={"number": payment.number}
        )

    def on_signed(self, connection: Connection, intent: Intent) -> None:
        """The slot says all."""


class ExampleEffects:
    """Counts what was paid, once for each payment."""

    def __init__(self) -> None:
        self.told: list[tuple[bytes, str]] = []

    def apply(self, connection: Connection, intent: Intent, verdict: Accepted | Rejected | Pending) -> int:
        """The account's next number."""
        payment = payment_of(intent)
        number = _locked(connection, payment.account)
        if isinstance(verdict, Accepted):
            # As the chain has it: a payment that was thought rejected counts once the chain has it.
            number = max(number, payment.number + 1)
            values = {"next_number": number, "paid": account_table.c.paid + payment.amount}
            connection.execute(
                update(account_table).where(account_table.c.name == payment.account).values(values)
            )
        elif isinstance(verdict, Rejected) and verdict.stage == TAKEN:
            # The chain went on without ours.
            number = max(number, payment.number + 1)
            connection.execute(
                update(account_table)
                .where(account_table.c.name == payment.account)
                .values(next_number=number)
            )
        return number

    def applied(self, intent: Intent, verdict: Accepted | Rejected | Pending, effect: int) -> None:
        assert effect >= 0
        self.told.append((intent.id, verdict.stage))


def _locked(connection: Connection, name: str) -> int:
    query = locking(select(account_table.c.next_number).where(account_table.c.name == name))
    return int(connection.execute(query).scalar_one())


def _open_in(connection: Connection, slot: bytes) -> bytes | None:
    found = load_by_slot(connection, slot)
    return None if found is None else found.id


async def open_accounts(database: Database, *names: str) -> None:
    def work(connection: Connection) -> None:
        metadata.create_all(connection)
        rows = [{"name": name, "next_number": 0, "paid": 0} for name in names]
        connection.execute(account_table.insert(), rows)

    await database.write(work)


async def paid(database: Database, name: str) -> int:
    row = await database.fetch_one(select(account_table.c.paid).where(account_table.c.name == name))
    assert row is not None
    return int(row.paid)
