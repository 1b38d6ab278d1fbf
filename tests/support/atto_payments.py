"""Clients that pay through the Atto service and do not give up, and the comparison of its books with the node's.

Every payment has an amount of its own, so that it can be found on the chain whatever its client was told.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from typing import Any

import httpx2
import msgspec
from sqlalchemy.engine import URL

from strongroom.atto.history.views import entry_view
from strongroom.atto.protocol import Address, BlockType
from strongroom.core.security.keys.local import key_from_hex
from strongroom.core.security.keys.ring import TRAIL
from strongroom.core.security.keys.secrets import look_at_secret
from strongroom.core.security.keys.source import FoundKey
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.storage.database import Database
from support.atto_processes import NetworkProgram, ServiceProgram
from support.callback_sink import CallbackSink
from support.databases import execute_elsewhere
from support.keys import KEY
from support.trail import verify

ATTO = 10**9
FUNDS_RAW = 1000 * ATTO
RETRY_S = 0.1
ANSWERED_S = 120.0
SETTLED_S = 60.0
SERVER_ERROR = 500
UNKNOWN_CODES = {"outcome_unknown", "database_commit_unknown"}
HASH = re.compile(r"[0-9A-F]{64}")

_amounts = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """`key` is its Idempotency-Key; no other payment has its amount."""

    key: str
    sender: str
    receiver: str
    amount_raw: int


def new_payment(sender: str, receiver: str) -> Payment:
    number = next(_amounts)
    return Payment(key=f"payment-{number}", sender=sender, receiver=receiver, amount_raw=1_000_000 + number)


class Payers:
    """Pay through any of the `services` and repeat, with the same key, until there is an answer."""

    def __init__(self, *services: ServiceProgram) -> None:
        self._services = services
        self.asked: list[Payment] = []
        self.answers: dict[Payment, dict[str, Any]] = {}
        self.statuses: Counter[int | str] = Counter()
        """Every answer and every failure on the way to one."""
        self.unknown: dict[Payment, set[str]] = {}
        """Hashes of blocks whose outcome was not known when they were asked for (504)."""

    async def pay(self, payment: Payment) -> dict[str, Any]:
        """The entry of the payment, once it is acknowledged."""
        async with asyncio.timeout(ANSWERED_S):
            for service in cycle(self._services):
                response = await self._try(service, payment)
                if response is not None and response.status_code < SERVER_ERROR:
                    if response.status_code == httpx2.codes.OK:
                        return self.answers[payment]
                    assert response.json()["code"] == "idempotency_key_in_progress", response.text
                await asyncio.sleep(RETRY_S)  # the client's patience; it knows of no event to wait for
        raise AssertionError("unreachable")

    async def pay_in_turn(self, payments: Sequence[Payment]) -> None:
        for payment in payments:
            await self.pay(payment)

    async def ask(self, payment: Payment, service: ServiceProgram | None = None) -> httpx2.Response:
        """One request, and whatever answers it."""
        self.asked.append(payment)
        response = await (service or self._services[0]).api.post(
            f"/wallets/accounts/{payment.sender}/transactions/SEND",
            json={"receiverAddress": payment.receiver, "amount": payment.amount_raw},
            headers={"Idempotency-Key": payment.key},
        )
        self.statuses[response.status_code] += 1
        if response.status_code == httpx2.codes.OK:
            self.answers[payment] = response.json()
        if response.status_code == httpx2.codes.GATEWAY_TIMEOUT:
            self._note_unknown(payment, response)
        return response

    async def _try(self, service: ServiceProgram, payment: Payment) -> httpx2.Response | None:
        try:
            return await self.ask(payment, service)
        except httpx2.HTTPError as error:
            self.statuses[type(error).__name__] += 1
            return None

    def _note_unknown(self, payment: Payment, response: httpx2.Response) -> None:
        document = response.json()
        assert document["code"] in UNKNOWN_CODES, response.text
        if found := HASH.search(document["message"]):
            self.unknown.setdefault(payment, set()).add(found[0])


async def open_accounts(
    service: ServiceProgram, network: NetworkProgram, number: int
) -> tuple[list[str], str]:
    """A wallet with this many funded, open accounts: their addresses, and the wallet's key."""
    key = (await service.call("POST", "/wallets/crash"))["encryptionKey"]
    made = await service.call("POST", f"/wallets/crash/accounts/ranges/{number - 1}")
    addresses = [account["address"] for account in made]
    for address in addresses:
        await network.fund(address, FUNDS_RAW)
    async with asyncio.timeout(SETTLED_S):
        while (await service.call("GET", "/wallets/crash/totals"))["openedAccounts"] < number:  # noqa: ASYNC110 - another process
            await asyncio.sleep(RETRY_S)
    return addresses, key


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What must hold after whatever happened: the service's word, its database and the node's chain agree."""

    service: ServiceProgram
    network: NetworkProgram
    database_url: URL
    addresses: Sequence[str]
    sink: CallbackSink | None = None

    async def assert_agree(self, answers: Mapping[Payment, dict[str, Any]]) -> None:
        """Every answered payment is on the chain once; nothing is lost, open, or different."""
        await self.settle()
        chain = {address: await self.chain_entries(address) for address in self.addresses}
        _assert_paid_once(answers, chain)
        for address, entries in chain.items():
            stored = await self.stored_entries(address)
            assert stored == entries, f"{stored} is not {entries}"
            await self._assert_same_state(address)
            self._assert_told(address, entries)
        assert await self.open_blocks() == 0
        await self._assert_audited(chain)

    async def settle(self) -> None:
        """Waits until everything is received, resolved and delivered."""
        missing: object = None
        try:
            async with asyncio.timeout(SETTLED_S):
                while missing := await self._unsettled():  # noqa: ASYNC110 - other processes
                    await asyncio.sleep(RETRY_S)
        except TimeoutError:
            raise AssertionError(f"not settled after {SETTLED_S} s: {missing}") from None

    async def chain_entries(self, address: str) -> list[dict[str, Any]]:
        """The node's entries in the service's form, ascending."""
        return [msgspec.to_builtins(entry_view(entry)) for entry in await self.network.entries(address)]

    async def stored_entries(self, address: str) -> list[dict[str, Any]]:
        """The service's own history, ascending, read page by page."""
        entries: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.service.call(
                "GET",
                f"/wallets/accounts/{address}/entries?limit=100" + (f"&cursor={cursor}" if cursor else ""),
            )
            entries += page["entries"]
            cursor = page["nextCursor"]
            if not cursor:
                return entries[::-1]

    async def _unsettled(self) -> str | None:
        """What is still under way."""
        if open_blocks := await self.open_blocks():
            return f"{open_blocks} blocks without an outcome"
        # First, because a receive adds an entry to what is looked at below.
        if missing := await self._not_received():
            return missing
        for address in self.addresses:
            state = await self.network.state(address)
            height = state["height"] if state else 0
            if await self.service.call("GET", f"/wallets/accounts/{address}/receivables"):
                return f"{address} has something to receive"
            page = await self.service.call("GET", f"/wallets/accounts/{address}/entries?limit=1")
            stored = page["entries"][0]["height"] if page["entries"] else 0
            if stored != height:
                return f"{address} has {stored} of {height} entries"
            if self.sink is not None and len({told["height"] for told in self.sink.told(address)}) < height:
                return f"not all of the {height} entries of {address} were told"
        return None

    async def _not_received(self) -> str | None:
        """What the service may not have heard of yet."""
        entries = [entry for address in self.addresses for entry in await self.chain_entries(address)]
        sent = Counter(entry["subjectAddress"] for entry in entries if entry["blockType"] == "SEND")
        received = Counter(entry["address"] for entry in entries if entry["blockType"] in {"OPEN", "RECEIVE"})
        for address in self.addresses:
            if received[address] != sent[address] + self.network.funded[address]:
                return f"{address} has not received everything"
        return None

    async def open_blocks(self) -> int:
        """Blocks whose outcome is open, and accounts that wait for one."""
        query = (
            "SELECT (SELECT COUNT(*) FROM strongroom_intent WHERE outcome = 'OPEN')"
            " + (SELECT COUNT(*) FROM strongroom_atto_account WHERE pending IS NOT NULL)"
        )
        rows = await asyncio.to_thread(execute_elsewhere, self.database_url, query)
        return int(rows[0][0])

    async def _assert_same_state(self, address: str) -> None:
        state = await self.network.state(address)
        details = await self.service.call("GET", f"/wallets/accounts/{address}/details")
        assert state is not None
        expected = {
            "address": address,
            "version": state["version"],
            "height": state["height"],
            "balance": state["balance"],
            "lastTransactionHash": state["lastTransactionHash"],
            "lastTransactionTimestamp": state["lastTransactionTimestamp"],
            "representativeAddress": Address(public_key=bytes.fromhex(state["representativePublicKey"])).path,
        }
        assert details == expected, f"{details} is not {expected}"

    def _assert_told(self, address: str, entries: Sequence[dict[str, Any]]) -> None:
        """Each entry at least once, and none before the one below it."""
        if self.sink is None:
            return
        highest = 0
        for told in self.sink.told(address):
            assert told["height"] <= highest + 1, f"{told} came after height {highest}"
            assert told == entries[told["height"] - 1]
            highest = max(highest, told["height"])
        assert highest == len(entries)

    async def _assert_audited(self, chain: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        """The trail is whole, and every block of ours on the chain is in it."""
        database = Database(self.database_url)
        try:
            key = await database.read(
                lambda connection: look_at_secret(
                    connection, [FoundKey(key=key_from_hex(KEY), origin="")], TRAIL
                )
            )
            await verify(database, TrailKey(key))
        finally:
            await database.close()
        query = "SELECT details FROM strongroom_audit WHERE action = 'sign'"
        rows = await asyncio.to_thread(execute_elsewhere, self.database_url, query)
        audited = {msgspec.json.decode(row[0])["hash"] for row in rows}
        assert {entry["hash"] for entries in chain.values() for entry in entries} <= audited


def _assert_paid_once(
    answers: Mapping[Payment, dict[str, Any]], chain: Mapping[str, Sequence[dict[str, Any]]]
) -> None:
    sends = Counter(
        (entry["address"], entry["subjectAddress"], entry["previousBalance"] - entry["balance"])
        for entries in chain.values()
        for entry in entries
        if entry["blockType"] == BlockType.SEND.name
    )
    paid = Counter((payment.sender, payment.receiver, payment.amount_raw) for payment in answers)
    assert sends == paid
    for payment, entry in answers.items():
        assert chain[payment.sender][entry["height"] - 1] == entry
