"""The official Atto client in JavaScript, as an independent judge. Its scripts are in `tests/judges/atto`."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from strongroom.atto.protocol import (
    AccountEntry,
    AccountState,
    Address,
    Mnemonic,
    Receivable,
    Transaction,
    decode_account_entry,
    decode_account_state,
    decode_receivable,
    decode_transaction,
    encode_transaction,
)
from support.programs import program

FOLDER = Path(__file__).parents[1] / "judges" / "atto"
INSTALLED = FOLDER / "node_modules" / ".installed-package-lock.json"
PATIENCE_S = 30.0


class JsError(Exception):
    """What the official client threw, in its own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the official client says about a transaction."""

    error: str | None
    """None if it is valid."""
    hash: bytes = b""
    type: str = ""
    data: bytes = b""
    """Its binary form."""
    transaction: Transaction | None = None
    """As this project reads the JSON that the official client writes."""


def valid(transaction: Transaction) -> Verdict:
    """That the transaction is valid and means there what it means here."""
    return Verdict(
        error=None,
        hash=transaction.hash,
        type=transaction.block.type.name,
        data=transaction.to_bytes(),
        transaction=transaction,
    )


class JsAtto:
    """Judges that need neither node nor work server, and wallets that do."""

    async def validate(self, transactions: Iterable[Transaction | bytes]) -> list[Verdict]:
        """One verdict for each transaction or JSON text."""
        texts = [
            (encode_transaction(item) if isinstance(item, Transaction) else item).decode()
            for item in transactions
        ]
        return [_verdict(item) for item in await self._ask("transactions.mjs", texts)]

    async def addresses(self, mnemonic: Mnemonic, indexes: Sequence[int]) -> list[Address]:
        """The accounts of the mnemonic."""
        question = {"mnemonic": mnemonic.phrase, "indexes": list(indexes)}
        answer = await self._ask("accounts.mjs", question)
        assert bytes.fromhex(answer["entropy"]) == mnemonic.entropy
        return [Address.parse(account["uri"]) for account in answer["accounts"]]

    @asynccontextmanager
    async def wallet(
        self,
        *,
        node_url: str,
        work_url: str,
        mnemonic: Mnemonic | None = None,
        representative: Address | None = None,
    ) -> AsyncIterator["JsWallet"]:
        """A wallet, of a new mnemonic by default.

        With a representative it receives by itself, and opens accounts with it.
        """
        process = await self._start("wallet.mjs")
        settings = {
            "node": node_url,
            "work": work_url,
            "mnemonic": mnemonic.phrase if mnemonic else None,
            "representative": representative.uri if representative else None,
        }
        wallet = JsWallet(process)
        wallet.write(settings)
        try:
            yield wallet
        finally:
            await wallet.close()

    async def _ask(self, script: str, question: object) -> Any:
        process = await self._start(script)
        output, errors = await process.communicate(json.dumps(question).encode())
        if process.returncode != 0:
            raise JsError(errors.decode())
        return json.loads(output)

    async def _start(self, script: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            program("node"), script, cwd=FOLDER, stdin=pipe, stdout=pipe, stderr=pipe, limit=2**24
        )


class JsWallet:
    """A running wallet of the official client, and its node client. Every method raises JsError."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._stdin = process.stdin
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._log = b""
        self._calls = 0
        self._readers = [
            asyncio.create_task(self._read_answers(process.stdout)),
            asyncio.create_task(self._read_log(process.stderr)),
        ]

    async def mnemonic(self) -> Mnemonic:
        return Mnemonic.parse(await self._call("mnemonic"))

    async def open(self, index: int) -> Address:
        """Has the wallet look after the account of this index."""
        return Address.parse(await self._call("open", index=index))

    async def account(self, index: int) -> AccountState | None:
        """What the wallet believes of its account."""
        text = await self._call("account", index=index)
        return decode_account_state(text.encode()) if text else None

    async def send(self, index: int, receiver: Address, amount_raw: int) -> Transaction:
        """The transaction, once the node has confirmed it."""
        text = await self._call_again("send", index=index, address=receiver.uri, amount=str(amount_raw))
        return decode_transaction(text.encode())

    async def change(self, index: int, representative: Address) -> Transaction:
        """The transaction, once the node has confirmed it."""
        text = await self._call_again("change", index=index, address=representative.uri)
        return decode_transaction(text.encode())

    async def publish(self, transaction: Transaction) -> None:
        """Through the node client alone."""
        await self._call("publish", transaction=encode_transaction(transaction).decode())

    async def node_account(self, address: Address) -> AccountState | None:
        text = await self._call("nodeAccount", publicKey=_hex(address.public_key))
        return decode_account_state(text.encode()) if text else None

    async def node_accounts(self, addresses: Iterable[Address]) -> list[AccountState]:
        texts = await self._call("nodeAccounts", addresses=[address.uri for address in addresses])
        return [decode_account_state(text.encode()) for text in texts]

    async def transaction(self, block_hash: bytes) -> Transaction:
        return decode_transaction((await self._call("transaction", hash=_hex(block_hash))).encode())

    async def entry(self, block_hash: bytes) -> AccountEntry:
        """Waits for the block."""
        return decode_account_entry((await self._call("entry", hash=_hex(block_hash))).encode())

    async def now(self) -> str:
        """The node's time as an ISO-8601 instant."""
        instant: str = await self._call("now")
        return instant

    async def weight(self, address: Address) -> str:
        """The client's own description of a voter's weight."""
        text: str = await self._call("weight", address=address.uri)
        return text

    async def entries(self, address: Address, first: int, last: int) -> list[AccountEntry]:
        """Waits for the last one."""
        texts = await self._range("entries", address, first, last)
        return [decode_account_entry(text.encode()) for text in texts]

    async def transactions(self, address: Address, first: int, last: int) -> list[Transaction]:
        """Waits for the last one."""
        texts = await self._range("transactions", address, first, last)
        return [decode_transaction(text.encode()) for text in texts]

    async def verdicts(self, address: Address, first: int, last: int) -> list[Verdict]:
        """Of the same transactions."""
        return [_verdict(item) for item in await self._range("verdicts", address, first, last)]

    async def receivables(self, address: Address, count: int, *, minimum_raw: int = 1) -> list[Receivable]:
        """Waits for so many."""
        texts = await self._call(
            "receivables", publicKey=_hex(address.public_key), count=count, minimum=str(minimum_raw)
        )
        return [decode_receivable(text.encode()) for text in texts]

    async def states(self, address: Address, height: int) -> list[AccountState]:
        """The states that the node reports until the account has this height."""
        texts = await self._call("states", publicKey=_hex(address.public_key), height=str(height))
        return [decode_account_state(text.encode()) for text in texts]

    async def work(self, transaction: Transaction) -> bytes:
        """New work for its block, found by the client's own worker."""
        work = await self._call("work", transaction=encode_transaction(transaction).decode())
        return bytes.fromhex(work)

    async def close(self) -> None:
        self._stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await asyncio.gather(*self._readers)

    def write(self, line: object) -> None:
        self._stdin.write(json.dumps(line).encode() + b"\n")

    async def _range(self, command: str, address: Address, first: int, last: int) -> list[Any]:
        key = _hex(address.public_key)
        found: list[Any] = await self._call(command, publicKey=key, **{"from": str(first), "to": str(last)})
        return found

    async def _call(self, command: str, **arguments: object) -> Any:
        self._calls += 1
        call = self._calls
        answer = self._waiting[call] = asyncio.get_running_loop().create_future()
        self.write({"id": call, "command": command, **arguments})
        try:
            return await asyncio.wait_for(answer, PATIENCE_S)
        except TimeoutError:
            raise JsError(
                f"No answer to {command} {arguments}. The client's log: {self._log.decode()}"
            ) from None

    async def _call_again(self, command: str, **arguments: object) -> Any:
        """Repeats what the node refused for its time alone.

        The client adds to each block's time how long the node took to tell it. When the node takes less time for
        the next block, that one may be dated before its predecessor, and is refused.
        """
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await self._call(command, **arguments)
                except JsError as error:
                    if "INVALID_TIMESTAMP" not in str(error):
                        raise

    async def _read_answers(self, stdout: asyncio.StreamReader) -> None:
        try:
            async for line in stdout:
                self._take(json.loads(line))
        finally:
            for answer in filter(lambda answer: not answer.done(), self._waiting.values()):
                answer.set_exception(JsError(f"The client has ended: {self._log.decode()}"))

    def _take(self, message: dict[str, Any]) -> None:
        answer = self._waiting.pop(message["id"])
        if answer.done():  # who asked has left
            return
        if "error" in message:
            answer.set_exception(JsError(message["error"]))
        else:
            answer.set_result(message["result"])

    async def _read_log(self, stderr: asyncio.StreamReader) -> None:
        async for line in stderr:
            self._log = (self._log + line)[-10_000:]


@cache
def installed() -> JsAtto:
    """The judges, with the packages that the lock file names; installs them the first time."""
    lock = (FOLDER / "package-lock.json").read_bytes()
    if not INSTALLED.exists() or INSTALLED.read_bytes() != lock:
        done = subprocess.run(
            [program("npm"), "ci", "--no-audit", "--no-fund"],
            cwd=FOLDER,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        INSTALLED.write_bytes(lock)
    return JsAtto()


def _verdict(answer: dict[str, str | None]) -> Verdict:
    if answer.get("json") is None:
        return Verdict(error=answer["error"])
    return Verdict(
        error=answer["error"],
        hash=bytes.fromhex(answer["hash"] or ""),
        type=answer["type"] or "",
        data=bytes.fromhex(answer["bytes"] or ""),
        transaction=decode_transaction((answer["json"] or "").encode()),
    )


def _hex(data: bytes) -> str:
    return data.hex().upper()
