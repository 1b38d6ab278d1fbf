"""The official Atto client in JavaScript, as an independent judge. Its scripts are in `tests/judges/atto`."""

import asyncio
import json
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
from support.js import PATIENCE_S, JsError, JsProgram, install, start_node

FOLDER = Path(__file__).parents[1] / "judges" / "atto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the official client says about a transaction."""

    error: str | None
    """None if it is valid."""
    hash: bytes = b""
    type: str = ""
    data: bytes = b""
    """Its binary form."""
    transaction: Transaction | None = None
    """As this project reads the JSON that the official client writes."""


def valid(transaction: Transaction) -> Judgement:
    """That the transaction is valid and means there what it means here."""
    return Judgement(
        error=None,
        hash=transaction.hash,
        type=transaction.block.type.name,
        data=transaction.to_bytes(),
        transaction=transaction,
    )


class JsAtto:
    """Judges that need neither node nor work server, and wallets that do."""

    async def validate(self, transactions: Iterable[Transaction | bytes]) -> list[Judgement]:
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
        process = await start_node(FOLDER, "wallet.mjs")
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
        process = await start_node(FOLDER, script)
        output, errors = await process.communicate(json.dumps(question).encode())
        if process.returncode != 0:
            raise JsError(errors.decode())
        return json.loads(output)


class JsWallet(JsProgram):
    """A running wallet of the official client, and its node client. Every method raises JsError."""

    async def mnemonic(self) -> Mnemonic:
        return Mnemonic.parse(await self.call("mnemonic"))

    async def open(self, index: int) -> Address:
        """Has the wallet look after the account of this index."""
        return Address.parse(await self.call("open", index=index))

    async def account(self, index: int) -> AccountState | None:
        """What the wallet believes of its account."""
        text = await self.call("account", index=index)
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
        await self.call("publish", transaction=encode_transaction(transaction).decode())

    async def node_account(self, address: Address) -> AccountState | None:
        text = await self.call("nodeAccount", publicKey=_hex(address.public_key))
        return decode_account_state(text.encode()) if text else None

    async def node_accounts(self, addresses: Iterable[Address]) -> list[AccountState]:
        texts = await self.call("nodeAccounts", addresses=[address.uri for address in addresses])
        return [decode_account_state(text.encode()) for text in texts]

    async def transaction(self, block_hash: bytes) -> Transaction:
        return decode_transaction((await self.call("transaction", hash=_hex(block_hash))).encode())

    async def entry(self, block_hash: bytes) -> AccountEntry:
        """Waits for the block."""
        return decode_account_entry((await self.call("entry", hash=_hex(block_hash))).encode())

    async def now(self) -> str:
        """The node's time as an ISO-8601 instant."""
        instant: str = await self.call("now")
        return instant

    async def weight(self, address: Address) -> str:
        """The client's own description of a voter's weight."""
        text: str = await self.call("weight", address=address.uri)
        return text

    async def entries(self, address: Address, first: int, last: int) -> list[AccountEntry]:
        """Waits for the last one."""
        texts = await self._range("entries", address, first, last)
        return [decode_account_entry(text.encode()) for text in texts]

    async def transactions(self, address: Address, first: int, last: int) -> list[Transaction]:
        """Waits for the last one."""
        texts = await self._range("transactions", address, first, last)
        return [decode_transaction(text.encode()) for text in texts]

    async def verdicts(self, address: Address, first: int, last: int) -> list[Judgement]:
        """Of the same transactions."""
        return [_verdict(item) for item in await self._range("verdicts", address, first, last)]

    async def receivables(self, address: Address, count: int, *, minimum_raw: int = 1) -> list[Receivable]:
        """Waits for so many."""
        texts = await self.call(
            "receivables", publicKey=_hex(address.public_key), count=count, minimum=str(minimum_raw)
        )
        return [decode_receivable(text.encode()) for text in texts]

    async def states(self, address: Address, height: int) -> list[AccountState]:
        """The states that the node reports until the account has this height."""
        texts = await self.call("states", publicKey=_hex(address.public_key), height=str(height))
        return [decode_account_state(text.encode()) for text in texts]

    async def work(self, transaction: Transaction) -> bytes:
        """New work for its block, found by the client's own worker."""
        work = await self.call("work", transaction=encode_transaction(transaction).decode())
        return bytes.fromhex(work)

    async def _range(self, command: str, address: Address, first: int, last: int) -> list[Any]:
        key = _hex(address.public_key)
        found: list[Any] = await self.call(command, publicKey=key, **{"from": str(first), "to": str(last)})
        return found

    async def _call_again(self, command: str, **arguments: object) -> Any:
        """Repeats what the node refused for its time alone.

        The client adds to each block's time how long the node took to tell it. When the node takes less time for
        the next block, that one may be dated before its predecessor, and is refused.
        """
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await self.call(command, **arguments)
                except JsError as error:
                    if "INVALID_TIMESTAMP" not in str(error):
                        raise


@cache
def installed() -> JsAtto:
    """The judges, with the packages that the lock file names; installs them the first time."""
    install(FOLDER)
    return JsAtto()


def _verdict(answer: dict[str, str | None]) -> Judgement:
    if answer.get("json") is None:
        return Judgement(error=answer["error"])
    return Judgement(
        error=answer["error"],
        hash=bytes.fromhex(answer["hash"] or ""),
        type=answer["type"] or "",
        data=bytes.fromhex(answer["bytes"] or ""),
        transaction=decode_transaction((answer["json"] or "").encode()),
    )


def _hex(data: bytes) -> str:
    return data.hex().upper()
