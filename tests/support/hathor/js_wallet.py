"""Wallets of the official Hathor library, `tests/judges/hathor`, as independent judges of the wallet service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypedDict, Unpack

from support.js import JsError, JsProgram, install, start_node

FOLDER = Path(__file__).parents[2] / "judges" / "hathor"
NATIVE = "00"
PIN = {"pinCode": "123456"}


class Kind(TypedDict, total=False):
    """What else a wallet may be, see `open` of `wallet.mjs`."""

    by_keys: bool
    passphrase: str
    single_address: bool


class Faucet(Protocol):
    async def fund(self, address: str, value: int) -> str: ...


class JsClient(JsProgram):
    """One process of the library at one service. It may hold many wallets."""

    patience_s = 180.0
    """The library doubles its pause before each attempt to connect, up to 37.5 s: one that fails on a busy machine costs as much again."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__(process)
        self.wallets: dict[str, JsWallet] = {}

    async def new_words(self) -> str:
        words: str = await self.call("words")
        return words

    async def open(
        self,
        words: str | None = None,
        *,
        xpub: str | None = None,
        realtime: bool = True,
        **kind: Unpack[Kind],
    ) -> "JsWallet":
        """A wallet that is not started; of new words by default."""
        if words is None and xpub is None:
            words = await self.new_words()
        name = f"wallet-{len(self.wallets)}"
        await self.call("open", wallet=name, words=words, xpub=xpub, realtime=realtime, **kind)
        wallet = self.wallets[name] = JsWallet(self, name, words or "")
        return wallet

    async def started(
        self, words: str | None = None, *, realtime: bool = True, **kind: Unpack[Kind]
    ) -> "JsWallet":
        wallet = await self.open(words, realtime=realtime, **kind)
        await wallet.start()
        return wallet

    async def funded(self, node: "Faucet", *values: int) -> "JsWallet":
        """A new wallet with these values on its first addresses, one each."""
        wallet = await self.started(realtime=False)
        for index, value in enumerate(values):
            await node.fund(await wallet.address(index), value)
        await wallet.until_balance(sum(values))
        return wallet

    async def set_weight(self, weight: float | None) -> None:
        """What every transaction of the client weighs from now on; None: what the library calculates."""
        await self.call("weight", weight=weight)

    def told(self, message: dict[str, Any]) -> None:
        self.wallets[message["wallet"]].note(message["event"], read(message["data"]))


class JsWallet:
    """A wallet. Methods raise JsError with the library's own words."""

    def __init__(self, client: JsClient, name: str, words: str) -> None:
        self._client = client
        self._name = name
        self.words = words
        self.events: list[tuple[str, Any]] = []
        self._news = asyncio.Condition()
        self._notes: set[asyncio.Task[None]] = set()

    async def start(self) -> float:
        """Returns the milliseconds until it was ready."""
        took_ms: float = await self._client.call("start", wallet=self._name)
        return took_ms

    async def call(self, method: str, *arguments: object) -> Any:
        """Any method of the library's wallet; amounts go as `amount(5)` and come as integers."""
        answer = await self._client.call("call", wallet=self._name, method=method, arguments=list(arguments))
        return read(answer)

    async def prepared(self, method: str, *arguments: object) -> str:
        """The id of the transaction that a method prepared unsigned: signed and sent afterwards."""
        sent = await self._client.call(
            "prepared", wallet=self._name, method=method, arguments=list(arguments)
        )
        tx_id: str = sent["hash"]
        return tx_id

    async def call_as(self, caller: str, *arguments: object) -> str:
        """A contract's call (the arguments of `createNanoContractTransaction`), made out to another caller later."""
        sent = await self._client.call("call_as", wallet=self._name, caller=caller, arguments=list(arguments))
        tx_id: str = sent["hash"]
        return tx_id

    async def push(self, method: str, payload: object) -> Any:
        return await self._client.call("push", wallet=self._name, method=method, payload=payload)

    async def property(self, name: str) -> Any:
        return await self._client.call("property", wallet=self._name, name=name)

    async def address(self, index: int) -> str:
        found: str = await self.call("getAddressAtIndex", index)
        return found

    async def balance(self, token: str = NATIVE) -> tuple[int, int]:
        """Unlocked and locked."""
        for entry in await self.call("getBalance", token):
            return entry["balance"]["unlocked"], entry["balance"]["locked"]
        return 0, 0

    async def send(self, address: str, value: int, **options: object) -> str:
        """The id of the transaction, which the node took."""
        sent = await self.call("sendTransaction", address, amount(value), {**PIN, **options})
        tx_id: str = sent["hash"]
        return tx_id

    async def until_balance(self, unlocked: int, token: str = NATIVE) -> None:
        async with asyncio.timeout(self._client.patience_s):
            while (await self.balance(token))[0] != unlocked:  # noqa: ASYNC110 - another process knows it
                await asyncio.sleep(0.05)

    async def until_seen(self, tx_id: str) -> None:
        """Returns when the wallet's transaction can be read."""
        async with asyncio.timeout(self._client.patience_s):
            while True:
                try:
                    await self.call("getTxById", tx_id)
                except JsError as error:
                    assert "TxNotFoundError" in str(error), error  # noqa: PT017 - any other one is a failure
                    await asyncio.sleep(0.05)
                else:
                    return

    async def until_history(self, entries: int) -> None:
        async with asyncio.timeout(self._client.patience_s):
            while len(await self.call("getTxHistory")) != entries:  # noqa: ASYNC110 - another process knows it
                await asyncio.sleep(0.05)

    async def event(self, kind: str, **expected: object) -> Any:
        """The first event of this kind whose data has these values; waits for it."""

        def found() -> list[Any]:
            return [
                data
                for name, data in self.events
                if name == kind and all(data.get(key) == value for key, value in expected.items())
            ]

        async with asyncio.timeout(self._client.patience_s), self._news:
            await self._news.wait_for(found)
            return found()[0]

    async def connected(self) -> None:
        """Waits until its WebSocket is joined to the wallet."""
        async with asyncio.timeout(self._client.patience_s), self._news:
            await self._news.wait_for(lambda: ("connection", 2) in self.events)

    def note(self, event: str, data: Any) -> None:
        async def tell() -> None:
            async with self._news:
                self.events.append((event, data))
                self._news.notify_all()

        task = asyncio.ensure_future(tell())
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)


def amount(value: int) -> str:
    return f"{value}n"


def read(data: Any) -> Any:
    """The library's document with its amounts as integers."""
    if isinstance(data, dict):
        return {key: read(value) for key, value in data.items()}
    if isinstance(data, list):
        return [read(value) for value in data]
    if isinstance(data, str) and data[-1:] == "n" and data[:-1].removeprefix("-").isdigit():
        return int(data[:-1])
    return data


@asynccontextmanager
async def js_client(*, service: str, socket: str, node: str, mining: str) -> AsyncIterator[JsClient]:
    install(FOLDER)
    client = JsClient(await start_node(FOLDER, "wallet.mjs"))
    urls = {"service": service, "socket": socket, "node": node, "mining": mining}
    client.write({**urls, "network": "privatenet"})
    try:
        yield client
        # What the library does not understand in a message or in the version it only logs.
        assert "schema validation failed" not in client.log, client.log
        assert "/version fetch failed" not in client.log, client.log
    finally:
        await client.close()
