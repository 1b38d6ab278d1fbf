"""Cases of Atto and Hathor: what wallets ask, an event of the chain, and the loops."""

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

from sqlalchemy import Connection, update

from strongroom.atto import tables as atto
from strongroom.atto.history.queries import Queries
from strongroom.atto.history.store import History
from strongroom.atto.protocol import Address, Network
from strongroom.atto.receiving.receiver import Receiver
from strongroom.atto.records import load_account, load_wallet
from strongroom.atto.wallets.watched_addresses import MonitoredAddresses
from strongroom.core.clock import SystemClock
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import execute
from strongroom.hathor.maintenance.deletion import delete_wallet
from strongroom.hathor.proposals import sweeper
from strongroom.hathor.protocol.addresses import MAINNET, parse_address
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.wallets import history, loading
from strongroom.hathor.wallets.balances import LOCKED, read_balances
from strongroom.hathor.wallets.registry import WalletNotFound, read_wallet
from strongroom.hathor.wallets.utxos import Filter, read_output, read_outputs
from strongroom_sandbox.hathor.vertices import Output
from support.hathor.scenes import Scene, pay
from support.hathor.wallets import WALLET, insert_wallet, wallet_addresses
from support.scale.cases import Case, Kind
from support.scale.core_rows import PER_WALLET
from support.scale.ledger_rows import BORN_S, WHALE, atto_account, atto_wallet, hathor_tx, hathor_wallet

PAGE = 50
NOW_S = BORN_S + 10**8
_clocks = count(BORN_S)
_payments = count(1)


async def atto_cases(database: Database, size: int) -> list[Case]:
    queries = Queries(database, Network.LIVE)
    watched = MonitoredAddresses(database)
    await watched.load()
    unused: Any = None
    gaps = History(node=unused, database=database, network=Network.LIVE, callbacks=unused, announcer=unused)
    name, path = atto_wallet(size // PER_WALLET // 2), atto_account(size // 20)
    address = Address.parse(path)

    def locked(connection: Connection) -> None:
        load_account(connection, address, Network.LIVE, lock=True)
        load_wallet(connection, name, hold=True)

    def confirmed(connection: Connection) -> None:
        columns = atto.chain.c
        connection.execute(
            update(atto.chain).where(columns.address == path).values(timestamp_ms=next(_clocks))
        )

    second = (await queries.account_page(address, None, 5)).next_cursor
    return [
        Case(
            name="atto: account", work=lambda: database.read(lambda c: load_account(c, address, Network.LIVE))
        ),
        Case(name="atto: account and wallet locked for a signature", work=lambda: database.write(locked)),
        Case(name="atto: account's state stored", work=lambda: database.write(confirmed)),
        Case(
            name="atto: history of an account, first page",
            work=lambda: queries.account_page(address, None, PAGE),
        ),
        Case(
            name="atto: history of an account, second page",
            work=lambda: queries.account_page(address, second, PAGE),
        ),
        Case(name="atto: history of a wallet", work=lambda: queries.wallet_page(name, None, PAGE)),
        Case(name="atto: totals of a wallet", work=lambda: queries.totals(name)),
        Case(name="atto: accounts of a wallet", work=lambda: queries.labels(name)),
        Case(name="atto: receivables of an account", work=lambda: queries.waiting(address)),
        Case(name="atto: receivables of a wallet", work=lambda: queries.waiting_of_wallet(name)),
        Case(name="atto: open accounts", work=lambda: queries.opened(enabled_only=True), kind=Kind.WHOLE),
        Case(name="atto loop: accounts of other processes", work=watched.look, kind=Kind.WHOLE),
        Case(name="atto loop: gaps of histories", work=gaps._gaps, kind=Kind.WHOLE),
        Case(
            name="atto loop: accounts that may receive",
            work=lambda: database.read(lambda c: Receiver._accounts_to_receive(unused, c)),
            kind=Kind.WHOLE,
        ),
    ]


async def hathor_cases(database: Database, size: int) -> list[Case]:
    ordinary = hathor_wallet(size // PER_WALLET // 2)
    scene = Scene(database)
    for _ in range(4):
        scene.block()
    await scene.sync()

    async def load() -> None:
        await database.write(_register_anew)
        await loading.load_wallet(database, SystemClock(), MAINNET, WALLET)

    async def block() -> None:
        scene.block()
        await scene.sync()

    def read(work: Callable[[Connection], Any]) -> Callable[[], Any]:
        return lambda: database.read(work)

    sweeps = {
        "expired": lambda c: sweeper._expired(c, NOW_S),
        "seen": lambda c: execute(c, sweeper.SEEN),
        "without holds": lambda c: execute(c, sweeper.WITHOUT_HOLDS),
        "unseen": lambda c: execute(c, sweeper.UNSEEN, NOW_S, NOW_S),
    }
    return [
        *_wallet(database, "a wallet", ordinary, Kind.FLAT),
        *_wallet(database, "the largest wallet", WHALE, Kind.OWN),
        Case(
            name="hathor: transaction of a wallet",
            work=lambda: database.query(history.TRANSACTION, ordinary, hathor_tx(ordinary, 3)),
        ),
        Case(
            name="hathor: one output",
            work=lambda: read_output(database, hathor_tx(ordinary, 3), 0, skip_spent=False),
        ),
        Case(name="hathor: a wallet without history deleted, registered and loaded", work=load),
        Case(name="hathor event: a block", work=block),
        Case(name="hathor event: a payment to that wallet", work=_paying(scene)),
        Case(name="hathor loop: wallets to load", work=lambda: loading.creating_wallets(database)),
        *(Case(name=f"hathor loop: proposals {name}", work=read(work)) for name, work in sweeps.items()),
    ]


def _register_anew(connection: Connection) -> None:
    with suppress(WalletNotFound):
        delete_wallet(connection, WALLET)
    insert_wallet(connection)


def _paying(scene: Scene) -> Callable[[], Any]:
    """Each payment spends what the one before left over."""
    payee, left = wallet_addresses(1)[0], [scene.genesis]
    to_wallet = Payment(address=parse_address(payee, MAINNET)).encode()

    async def work() -> None:
        spent, value = left.pop(), 1_000 - next(_payments)
        outputs = [Output(value=1, token_data=0, script=to_wallet, address=payee), pay("rest", value)]
        left.append((scene.send([spent], outputs).hash, 1))
        await scene.sync()

    return work


def _wallet(database: Database, whose: str, wallet_id: str, kind: Kind) -> list[Case]:
    async def whole() -> None:
        cursor = history.NEWEST
        for _ in range(3):
            page = await history.history_before(database, wallet_id, "00", cursor, PAGE)
            cursor = history.HistoryCursor.behind(page[-1]) if page else history.OLDEST

    return [
        Case(name=f"hathor: {whose}", work=lambda: read_wallet(database, wallet_id)),
        Case(
            name=f"hathor: balances of {whose}", work=lambda: read_balances(database, wallet_id, None, NOW_S)
        ),
        Case(
            name=f"hathor: locked outputs of {whose}",
            work=lambda: database.query(LOCKED, wallet_id),
            kind=kind,
        ),
        Case(name=f"hathor: tokens of {whose}", work=lambda: history.tokens(database, wallet_id), kind=kind),
        Case(
            name=f"hathor: history of {whose}, first page",
            work=lambda: history.history(database, wallet_id, "00", 0, PAGE),
            kind=kind,
        ),
        Case(name=f"hathor: history of {whose}, three pages by cursor", work=whole, kind=kind),
        Case(
            name=f"hathor: addresses of {whose}",
            work=lambda: history.all_addresses(database, wallet_id),
            kind=kind,
        ),
        Case(
            name=f"hathor: new addresses of {whose}",
            work=lambda: history.new_addresses(database, wallet_id, 10**9, 20),
        ),
        Case(
            name=f"hathor: outputs of {whose}",
            work=lambda: read_outputs(database, wallet_id, Filter(), NOW_S),
            kind=kind,
        ),
    ]
