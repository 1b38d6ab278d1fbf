"""Wallets of Hathor that read, pay and listen over a proxy, and the books that are held against service, node and database."""

import asyncio
import hashlib
import hmac
import json
import time
from collections import Counter, deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import httpx2
from coincurve import PrivateKey
from sqlalchemy.engine import URL
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from strongroom.hathor.protocol.addresses import PRIVATENET, parse_address, public_key_address
from strongroom.hathor.protocol.keys import HARDENED, Xpub, wallet_id
from strongroom.hathor.protocol.messages import authentication_message, sign_message
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.protocol.signatures import sign_input
from strongroom.hathor.protocol.transactions import Output, Transaction
from strongroom.hathor.protocol.work import mine
from support.databases import execute_elsewhere
from support.hathor.processes import NodeProgram, WalletProgram
from support.hathor.signing import draft
from support.replicas.clients import HURRIED_S, PAID, PAUSE_S, READ, Clients
from support.waiting import PATIENCE_S, until_true

PURSES = 6
"""Outputs of a wallet. Each payment must be a second newer than what it spends."""
FUNDS = 6_000_000
STRANGER = public_key_address(PrivateKey(b"\x11" * 32).public_key.format())


@dataclass(frozen=True, slots=True)
class Purse:
    """An output that a wallet can spend."""

    tx_id: str
    index: int
    value: int
    timestamp_s: int


@dataclass(eq=False)
class Wallet:
    """The keys of one wallet, and what its owner knows of its money."""

    number: int
    token: str = ""
    purses: deque[Purse] = field(default_factory=deque)
    sent: list[Transaction] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    """How often the WebSocket told of a transaction."""
    others: set[str] = field(default_factory=set)
    """Transactions of the wallet that are no payments of its own."""

    @cached_property
    def _account(self) -> Xpub:
        return _xpub(self._secret("account"), self._secret("chain"))

    @cached_property
    def _auth(self) -> Xpub:
        return _xpub(self._secret("authentication"), self._secret("chain"))

    @cached_property
    def xpub(self) -> str:
        return self._account.encode()

    @cached_property
    def id(self) -> str:
        return wallet_id(self.xpub)

    @cached_property
    def address(self) -> str:
        return self._account.child(0).child_address(0).encode(PRIVATENET)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def registration(self) -> dict[str, Any]:
        now_s = int(time.time())
        return {
            "xpubkey": self.xpub,
            "xpubkeySignature": self._signed("account", self._account, now_s),
            "authXpubkey": self._auth.encode(),
            "authXpubkeySignature": self._signed("authentication", self._auth, now_s),
            "timestamp": now_s,
            "firstAddress": self.address,
        }

    def token_request(self) -> dict[str, Any]:
        now_s = int(time.time())
        signature = self._signed("authentication", self._auth, now_s)
        return {"ts": now_s, "xpub": self._auth.encode(), "sign": signature, "walletId": self.id}

    def payment(self, purse: Purse, values: list[int], *, stranger: int = 0) -> Transaction:
        """Signed and mined: the wallet gets `values` back, a stranger gets the rest of what is spent."""
        own = parse_address(self.address, PRIVATENET)
        paid = [(STRANGER, stranger)] if stranger else []
        outputs = [
            Output(value=value, token_data=0, script=Payment(address=payee).encode())
            for payee, value in [*((own, value) for value in values), *paid]
        ]
        timestamp_s = max(int(time.time()), purse.timestamp_s + 1)
        unsigned = draft([(purse.tx_id, purse.index)], outputs, timestamp_s=timestamp_s)
        return mine(unsigned.with_input_data((sign_input(unsigned.signing_digest(), self._key),)))

    @cached_property
    def _key(self) -> bytes:
        """Of the only address that it uses."""
        key, chain = PrivateKey(self._secret("account")), self._secret("chain")
        for child in (0, 0):
            digest = hmac.digest(chain, key.public_key.format() + child.to_bytes(4), "sha512")
            key, chain = key.add(digest[:32]), digest[32:]
        return key.secret

    def _secret(self, name: str) -> bytes:
        return hashlib.sha256(f"{name} of wallet {self.number} of the replicas".encode()).digest()

    def _signed(self, name: str, key: Xpub, now_s: int) -> str:
        message = authentication_message(now_s, self.id, key.address().encode(PRIVATENET))
        return sign_message(message, self._secret(name))


def _xpub(secret: bytes, chain_code: bytes) -> Xpub:
    return Xpub(
        depth=3,
        parent_fingerprint=bytes(4),
        child_number=HARDENED,
        chain_code=chain_code,
        public_key=PrivateKey(secret).public_key.format(),
    )


async def open_wallet(service: WalletProgram, node: NodeProgram, number: int) -> Wallet:
    """A registered wallet whose money lies in several outputs."""
    wallet = Wallet(number)
    made = await service.api.post("/wallet/init", json=wallet.registration())
    assert made.status_code == httpx2.codes.OK, made.text
    wallet.token = (await service.api.post("/auth/token", json=wallet.token_request())).json()["token"]

    async def is_ready() -> bool:
        answer = await service.api.get("/wallet/status", headers=wallet.headers)
        return bool(answer.json()["status"]["status"] == "ready")

    await until_true(is_ready)
    funding = (await node.transaction(await node.fund(wallet.address, FUNDS)))["tx"]
    index = next(place for place, each in enumerate(funding["outputs"]) if each["value"] == FUNDS)
    split = wallet.payment(
        Purse(funding["hash"], index, FUNDS, funding["timestamp"]), [FUNDS // PURSES] * PURSES
    )
    pushed = await node.api.post("/v1a/push_tx", json={"hex_tx": split.encode().hex()})
    assert pushed.json()["success"], pushed.text
    wallet.others = {funding["hash"], split.id}
    wallet.purses.extend(
        Purse(split.id, place, FUNDS // PURSES, split.timestamp_s) for place in range(PURSES)
    )
    return wallet


class HathorClients(Clients):
    """One reader, one payer and one listener for each wallet."""

    def __init__(self, url: str, socket_url: str, wallets: list[Wallet]) -> None:
        super().__init__(url)
        self._socket_url = socket_url
        self.wallets = wallets

    def work(self) -> list[Coroutine[Any, Any, None]]:
        parts = (self._read, self._pay, self._listen)
        return [part(wallet) for wallet in self.wallets for part in parts]

    async def _read(self, wallet: Wallet) -> None:
        async with self.client() as client:
            while not self.stopped.is_set():
                for path in ("/wallet/balances", "/wallet/history", "/wallet/tx_outputs", "/wallet/status"):
                    await self.ask(client, READ, "GET", path, headers=wallet.headers)

    async def _pay(self, wallet: Wallet) -> None:
        async with self.client() as client:
            while not self.stopped.is_set():
                purse = wallet.purses.popleft()
                if await self._until_offered(client, wallet, purse):
                    rest = purse.value - 1
                    transaction = wallet.payment(purse, [rest], stranger=1)
                    await self._send(client, wallet, transaction)
                    wallet.sent.append(transaction)
                    purse = Purse(transaction.id, 0, rest, transaction.timestamp_s)
                    await self.note(PAID)
                wallet.purses.append(purse)

    async def _until_offered(self, client: httpx2.AsyncClient, wallet: Wallet, purse: Purse) -> bool:
        """Whether the service knows the output; False: the clients were stopped before."""
        while not self.stopped.is_set():
            if time.time() > purse.timestamp_s and await self._output(client, wallet, purse.tx_id):
                return True
            await asyncio.sleep(PAUSE_S)
        return False

    async def _output(self, client: httpx2.AsyncClient, wallet: Wallet, tx_id: str) -> dict[str, Any] | None:
        answer = await self.ask(client, READ, "GET", "/wallet/tx_outputs", headers=wallet.headers)
        if answer is None or not answer.is_success:
            return None
        return next((each for each in answer.json()["txOutputs"] if each["txId"] == tx_id), None)

    async def _send(self, client: httpx2.AsyncClient, wallet: Wallet, transaction: Transaction) -> None:
        body, proposal = {"txHex": transaction.encode().hex()}, ""
        async with asyncio.timeout(2 * PATIENCE_S):
            while not proposal:
                proposal = await self._propose(client, wallet, transaction, body)
            while True:
                path = f"/tx/proposal/{proposal}"
                answer = await self.ask(client, PAID, "PUT", path, json=body, headers=wallet.headers)
                if answer is not None and answer.is_success:
                    return
                if answer is not None and not answer.is_server_error:
                    raise AssertionError(answer.text)

    async def _propose(
        self, client: httpx2.AsyncClient, wallet: Wallet, transaction: Transaction, body: dict[str, str]
    ) -> str:
        """The proposal's id; empty: ask again. One whose answer was lost is found by the output that it holds."""
        answer = await self.ask(client, PAID, "POST", "/tx/proposal", json=body, headers=wallet.headers)
        if answer is not None and answer.is_success:
            return str(answer.json()["txProposalId"])
        if answer is not None and not answer.is_server_error:
            assert answer.json()["error"] == "inputs-already-used", answer.text
            spent = transaction.inputs[0]
            held = await self._held(client, wallet, spent.tx_id.hex(), spent.index)
            return str(held or "")
        return ""

    async def _held(self, client: httpx2.AsyncClient, wallet: Wallet, tx_id: str, index: int) -> str | None:
        path = f"/wallet/tx_outputs?txId={tx_id}&index={index}"
        answer = await self.ask(client, READ, "GET", path, headers=wallet.headers)
        if answer is None or not answer.is_success or not answer.json()["txOutputs"]:
            return None
        held: str | None = answer.json()["txOutputs"][0]["txProposalId"]
        return held

    async def _listen(self, wallet: Wallet) -> None:
        """Connects again whenever the connection ends."""
        while not self.stopped.is_set():
            try:
                async with connect(
                    self._socket_url, additional_headers=wallet.headers, open_timeout=ANSWER_OPEN_S
                ) as socket:
                    await socket.send(json.dumps({"action": "join", "id": wallet.id}))
                    while not self.stopped.is_set():
                        self._hear(wallet, await _next(socket))
            except (OSError, TimeoutError, WebSocketException) as error:
                self.outcomes["socket", type(error).__name__] += 1
                await asyncio.sleep(PAUSE_S)

    @staticmethod
    def _hear(wallet: Wallet, message: dict[str, Any]) -> None:
        if message.get("type") == "new-tx":
            wallet.told[message["data"]["tx_id"]] += 1

    @property
    def failed(self) -> dict[tuple[str, int | str], int]:
        """A WebSocket ends with its process, and its client connects again: that is no failure."""
        return {asked: number for asked, number in super().failed.items() if asked[0] != "socket"}


ANSWER_OPEN_S = 5.0
LISTENED_S = 0.5


async def _next(socket: Any) -> dict[str, Any]:
    """The next message; nothing: none came for a moment."""
    try:
        async with asyncio.timeout(LISTENED_S):
            message: dict[str, Any] = json.loads(await socket.recv())
    except TimeoutError:
        return {}
    return message


@dataclass(kw_only=True)
class Deposits:
    """What arrives at a wallet that pays nothing: whoever follows the node stores it."""

    node: NodeProgram
    wallet: Wallet
    url: str
    """Of the proxy."""
    received: int = FUNDS

    async def receive(self) -> None:
        """Returns when a deposit is in the wallet's balance."""
        self.wallet.others.add(await self.node.fund(self.wallet.address, 1))
        self.received += 1
        async with httpx2.AsyncClient(base_url=self.url, trust_env=False, timeout=HURRIED_S) as client:
            await until_true(lambda: self._has(client))

    async def _has(self, client: httpx2.AsyncClient) -> bool:
        try:
            answer = await client.get("/wallet/balances", headers=self.wallet.headers)
        except httpx2.HTTPError:
            return False
        return answer.is_success and bool(
            answer.json()["balances"][0]["balance"]["unlocked"] == self.received
        )


@dataclass(frozen=True, kw_only=True)
class HathorBooks:
    """What is so in the end at the node, at each process and in the database."""

    node: NodeProgram
    services: list[WalletProgram]
    database_url: URL

    async def assert_agree(self, wallets: list[Wallet], deposits: Deposits) -> None:
        for wallet in wallets:
            expected = wallet.others | {transaction.id for transaction in wallet.sent}
            assert len(expected) == len(wallet.others) + len(wallet.sent)
            for transaction in wallet.sent:
                found = await self.node.transaction(transaction.id)
                assert found["success"], found
                assert found["tx"]["raw"] == transaction.encode().hex()
                assert not found["meta"]["voided_by"]
            for service in self.services:
                await until_true(partial(self._shows, service, wallet, expected))
        await until_true(self._is_settled)
        sums = await self._rows(
            "SELECT COALESCE(SUM(o.value), 0) FROM tx_output o JOIN address a ON a.address = o.address"
            " WHERE a.wallet_id IS NOT NULL AND o.spent_by IS NULL AND o.voided = 0"
        )
        balances = await self._rows("SELECT SUM(unlocked_balance + locked_balance) FROM wallet_balance")
        left = sum(FUNDS - len(wallet.sent) for wallet in wallets) + deposits.received
        assert (int(sums[0][0]), int(balances[0][0])) == (left, left)
        intents = await self._rows("SELECT COUNT(*), COUNT(DISTINCT slot) FROM strongroom_intent")
        signed = sum(len(wallet.sent) for wallet in wallets)
        assert [int(each) for each in intents[0]] == [signed, signed]

    async def _shows(self, service: WalletProgram, wallet: Wallet, expected: set[str]) -> bool:
        found: set[str] = set()
        total = len(expected)
        for skip in range(0, total + 1, 50):
            answer = await service.api.get(f"/wallet/history?skip={skip}&count=50", headers=wallet.headers)
            if answer.is_success:
                found |= {entry["txId"] for entry in answer.json()["history"]}
        answer = await service.api.get("/wallet/balances", headers=wallet.headers)
        if not answer.is_success:
            return False
        balance = answer.json()["balances"][0]["balance"]
        return found == expected and balance["unlocked"] == FUNDS - len(wallet.sent)

    async def _is_settled(self) -> bool:
        """Nothing is unknown, and no output is held any more."""
        unknown = await self._rows("SELECT COUNT(*) FROM strongroom_intent WHERE outcome = 'OPEN'")
        return unknown == [["0"]]

    async def _rows(self, query: str) -> list[list[str]]:
        return await asyncio.to_thread(execute_elsewhere, self.database_url, query)
