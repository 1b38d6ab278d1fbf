"""The ledgers' own tables, as a service that has run for long leaves them."""

import json
from typing import Final

from sqlalchemy import Connection

from strongroom.atto import tables as atto
from strongroom.atto.protocol import Address
from strongroom.bittensor import tables as bittensor
from strongroom.hathor import tables as hathor
from support.scale.core_rows import BORN_MS, PER_WALLET, digest, payment_id, put

WHALE: Final = "f" * 64
"""A wallet that grows with the tables: a tenth of all transactions is its."""
BORN_S: Final = BORN_MS // 1000
USED: Final = 5
UNUSED: Final = 20
LOCKED: Final = 300
"""Rewards that wait for their height, as on a chain."""


def load_hathor(connection: Connection, count: int) -> None:
    """`count` transactions of wallets with 20 each, with an output each of which half are spent; and those of `WHALE` besides."""
    owners = [(hathor_wallet(one), PER_WALLET, USED) for one in range(count // PER_WALLET)]
    owners.append((WHALE, count // 10, count // 10))
    put(
        connection,
        hathor.wallet,
        "id xpubkey auth_xpubkey status created_at ready_at last_used_address_index",
        ((one, "xpub" * 27, "xpub" * 27, "ready", BORN_S, BORN_S, used - 1) for one, _, used in owners),
    )
    balances = "unlocked_balance transactions total_received"
    put(
        connection,
        hathor.wallet_balance,
        f"wallet_id token_id {balances}",
        ((one, "00", 7 * made, made, 7 * made) for one, made, _ in owners),
    )
    put(
        connection,
        hathor.address,
        "address index wallet_id bip32_account transactions",
        (
            (hathor_address(one, index), index, one, 0, made // used if index < used else 0)
            for one, made, used in owners
            for index in range(used + UNUSED)
        ),
    )
    put(
        connection,
        hathor.address_balance,
        f"address token_id {balances}",
        (
            (hathor_address(one, index), "00", 7, made // used, 7)
            for one, made, used in owners
            for index in range(used)
        ),
    )
    entries = [(one, step, used) for one, made, used in owners for step in range(made)]
    _load_history(connection, entries)
    locked = "tx_id index token_id address value authorities heightlock locked"
    rewards = (
        (digest("reward", one).hex(), 0, "00", "reward", 64, 0, 10**9 + one, True) for one in range(LOCKED)
    )
    put(connection, hathor.tx_output, locked, rewards)


def _load_history(connection: Connection, entries: list[tuple[str, int, int]]) -> None:
    """`entries`: wallet, number of its transaction, and how many of its addresses are used."""
    put(
        connection,
        hathor.transaction,
        "tx_id timestamp version weight",
        ((hathor_tx(one, step), BORN_S + step, 1, 17.5) for one, step, _ in entries),
    )
    put(
        connection,
        hathor.tx_output,
        "tx_id index token_id address value authorities spent_by",
        (
            (
                hathor_tx(one, step),
                0,
                "00",
                hathor_address(one, step % used),
                7,
                0,
                digest(one, step).hex() if step % 2 else None,
            )
            for one, step, used in entries
        ),
    )
    put(
        connection,
        hathor.address_tx_history,
        "address tx_id token_id balance timestamp",
        (
            (hathor_address(one, step % used), hathor_tx(one, step), "00", 7, BORN_S + step)
            for one, step, used in entries
        ),
    )
    put(
        connection,
        hathor.wallet_tx_history,
        "wallet_id token_id tx_id balance timestamp",
        ((one, "00", hathor_tx(one, step), 7, BORN_S + step) for one, step, _ in entries),
    )


def hathor_wallet(number: int) -> str:
    return digest("wallet", number).hex()


def hathor_address(wallet_id: str, index: int) -> str:
    return f"H{digest('address', wallet_id, index).hex()[:33]}"


def hathor_tx(wallet_id: str, step: int) -> str:
    return digest("transaction", wallet_id, step).hex()


def load_atto(connection: Connection, count: int) -> None:
    """`count` entries of accounts with ten each, wallets with two accounts each, and a receivable for each hundredth account."""
    accounts, wallets = count // 10, count // PER_WALLET
    put(
        connection,
        atto.wallet,
        "name version encrypted_entropy encrypted_encryption_key",
        ((atto_wallet(one), 0, bytes(61), bytes(60)) for one in range(wallets)),
    )
    put(
        connection,
        atto.account,
        "address version account_index wallet_name",
        ((atto_account(one), 0, one // wallets, atto_wallet(one % wallets)) for one in range(accounts)),
    )
    put(
        connection,
        atto.notification_state,
        "address version height",
        ((atto_account(one), 0, 10) for one in range(accounts)),
    )
    put(
        connection,
        atto.chain,
        "address public_key wallet_name account_index origin disabled version height balance frontier timestamp_ms"
        " representative entry_height",
        (
            (
                atto_account(one),
                digest("account", one),
                atto_wallet(one % wallets),
                one // wallets,
                "DERIVED",
                False,
                0,
                10,
                10**9 + one,
                digest("frontier", one),
                BORN_MS + one,
                bytes(32),
                10,
            )
            for one in range(accounts)
        ),
    )
    put(
        connection,
        atto.entry,
        "address height hash wallet_name block_type subject previous_balance balance timestamp_ms",
        (
            (
                atto_account(number // 10),
                number % 10 + 1,
                digest("entry", number),
                atto_wallet(number // 10 % wallets),
                2,
                bytes(32),
                10,
                11,
                BORN_MS + number,
            )
            for number in range(10 * accounts)
        ),
    )
    put(
        connection,
        atto.receivable,
        "hash address amount sender timestamp_ms version",
        (
            (digest("receivable", one), atto_account(one), 5, bytes(32), BORN_MS, 0)
            for one in range(0, accounts, 100)
        ),
    )


def atto_account(number: int) -> str:
    return Address(public_key=digest("account", number)).path


def atto_wallet(number: int) -> str:
    return f"wallet-{number:08d}"


def load_bittensor(connection: Connection, count: int) -> None:
    """A job and a receipt for each of `count` extrinsics, which are the core's payments; keys of a hundredth as many hotkeys."""
    put(
        connection,
        bittensor.key,
        "wallet kind name public_key sealed_secret created_at_ms",
        (
            (f"wallet-{one}", "hotkey", "default", digest("key", one), bytes(92), BORN_MS)
            for one in range(count // 100)
        ),
    )
    put(
        connection,
        bittensor.receipt,
        "id block_number block_hash block_index fee success",
        ((payment_id(one), one, digest("block", one), 1, 125_000, True) for one in range(count)),
    )
    put(
        connection,
        bittensor.job,
        "id principal idempotency_key fingerprint kind subject document is_open in_background wait_for extrinsic result"
        " created_at_ms",
        (
            (
                f"{one:032x}",
                f"token:caller-{one % 10}",
                f"key-{one:032d}",
                digest("request", one),
                "set_weights",
                bittensor_subject(one % max(1, count // 100)),
                json.dumps({"netuid": 1, "uids": [*range(16)], "weights": [*range(16)]}),
                False,
                bool(one % 2),
                "final",
                payment_id(one),
                json.dumps({"success": True, "block": one}),
                BORN_MS + 1000 * one,
            )
            for one in range(count)
        ),
    )


def bittensor_subject(number: int) -> bytes:
    return digest("subject", number)
