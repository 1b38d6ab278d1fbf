"""Atto: a thief in the database. Each try is made before a real service starts again; nothing leaves an account, and one command finds it."""

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx2
import pytest
from sqlalchemy.engine import URL

from commands.conftest import Ended, run
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.approvals.administration import ApprovalAdministration
from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.tokens import Tokens
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.registry import BY_NAME
from support.atto_processes import NetworkProgram, ServiceProgram, running_network
from support.atto_service import NOBODY, SQLITE_NAME, database_variables
from support.mariadb import MariaDB
from support.trail import trail_of_service
from support.waiting import until_true
from thief.thief import NO_KEYS, OWN_KEYS, Copy, Thief, thief_at

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
FUNDS = 1_000
ANN = Principal(name="operator:ann", scopes=frozenset({"*"}))
ASKS = {"effect": "approve", "when": {"wallets": ["vault"], "kinds": ["SEND"]}, "approvals": {"needed": 1}}
ONE_A_DAY = {
    "effect": "deny",
    "when": {"wallets": ["hot"], "kinds": ["SEND"]},
    "limit": {"count": 1, "seconds": 86_400},
}
DENIES = {"effect": "deny", "when": {"wallets": ["denied"], "kinds": ["SEND"]}}
WALLETS = ("hot", "denied", "frozen", "vault")
THIEF_SECRET = "sr_f00d_thief"


class Owner:
    """What the owner does at the command line, with the key."""

    def __init__(self, database: Database) -> None:
        clock, audit = SystemClock(), Audit(SystemClock(), trail_of_service())
        self.tokens = Tokens(
            database, audit, clock, SystemEntropy(), scopes=[*BY_NAME["atto"].scopes(), "atto:*"]
        )
        self.rules = GuardAdministration(
            database,
            audit,
            clock,
            SystemEntropy(),
            vocabulary=BY_NAME["atto"].vocabulary(),
            loosening_delay_ms=0,
        )
        self.approvals = ApprovalAdministration(database, audit, clock, ledger="atto")


@dataclass(kw_only=True)
class Scene:
    """A service whose database somebody else may write, and its network."""

    network: NetworkProgram
    service: ServiceProgram
    variables: Mapping[str, str]
    thief: Thief
    addresses: Mapping[str, str]
    stolen: str
    """A token that was stolen, and was revoked since."""
    good: str
    """The owner's."""
    approval: str
    """A request that people approved, and which was signed."""
    before: Copy
    """The database before the token was revoked, rules and freezes were made, and the approval was spent."""
    now: Copy

    async def send(self, wallet: str, token: str, *, key: str | None = None) -> httpx2.Response:
        return await self.service.api.post(
            f"/wallets/accounts/{self.addresses[wallet]}/transactions/SEND",
            json={"receiverAddress": NOBODY, "amount": 7},
            headers={"Authorization": f"Bearer {token}", **({"Idempotency-Key": key} if key else {})},
        )

    async def heights(self) -> dict[str, int]:
        """What the network knows of each account: it rises with every block that was signed."""
        found = {}
        for wallet, address in self.addresses.items():
            state = await self.network.state(address)
            assert state is not None
            found[wallet] = int(state["height"])
        return found

    def command(self, *arguments: str) -> Ended:
        return run(*arguments, variables=self.variables)

    def found(self) -> str:
        """What the named command says is wrong; empty: nothing is."""
        ended = self.command("audit", "verify", "--ledger", "atto")
        return "\n".join(ended.stdout) if ended.status else ""


@pytest.fixture(params=["sqlite", "mariadb"], scope="module")
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> URL:
    if request.param == "sqlite":
        return sqlite_url(str(tmp_path_factory.mktemp("thief") / SQLITE_NAME))
    server: MariaDB = request.getfixturevalue("mariadb")
    return server.new_database()


@pytest.fixture(scope="module")
async def scene(database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("service")
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(running_network(folder))
        variables = network.variables | database_variables(database_url, folder)
        service = await stack.enter_async_context(
            ServiceProgram(
                {
                    **variables,
                    "ATTO_REQUIRE_TOKEN": "true",
                    "ATTO_DEFAULT_REPRESENTATIVE": NOBODY,
                    "STRONGROOM_CHECKPOINT_FILE": str(folder / "checkpoints"),
                }
            )
        )
        database = Database(database_url)
        stack.push_async_callback(database.close)
        owner = Owner(database)
        good = (await owner.tokens.create(OPERATOR, "good", ["atto:*"])).secret
        stolen = await owner.tokens.create(OPERATOR, "stolen", ["atto:*"])
        service.api.headers["Authorization"] = f"Bearer {good}"
        addresses = {}
        for wallet in WALLETS:
            await service.call("POST", f"/wallets/{wallet}")
            addresses[wallet] = (await service.call("POST", f"/wallets/{wallet}/accounts"))["address"]
            await network.fund(addresses[wallet].removeprefix("atto://"), FUNDS)
        thief = await stack.enter_async_context(thief_at(database_url))
        scene = Scene(
            network=network,
            service=service,
            variables=service._environment,
            thief=thief,
            addresses=addresses,
            stolen=stolen.secret,
            good=good,
            approval="",
            before={},
            now={},
        )
        await until_true(lambda: _is_funded(scene))
        await owner.rules.add(OPERATOR, "asks", json.dumps(ASKS))
        await owner.rules.add(OPERATOR, "one a day", json.dumps(ONE_A_DAY))
        waiting = await scene.send("vault", good, key="once")
        assert waiting.json()["code"] == "approval_needed", waiting.text
        scene.approval = waiting.json()["approvalId"]
        await service.terminate()
        await owner.approvals.approve(ANN, scene.approval)
        scene.before = await thief.copy()
        await service.start()
        height = (await scene.heights())["vault"]
        await until_true(lambda: _has_risen(scene, "vault", height))
        assert (await scene.send("hot", stolen.secret)).status_code == httpx2.codes.OK
        await owner.tokens.revoke(OPERATOR, stolen.id)
        await owner.rules.add(OPERATOR, "denies", json.dumps(DENIES))
        await owner.rules.freeze(OPERATOR, FreezeScope.WALLET, "frozen", "a theft")
        await service.terminate()
        assert scene.command("audit", "checkpoint", "--ledger", "atto").status == 0
        scene.now = await thief.copy()
        yield scene


async def _is_funded(scene: Scene) -> bool:
    states = [await scene.network.state(address) for address in scene.addresses.values()]
    return all(state is not None for state in states)


async def _has_risen(scene: Scene, wallet: str, height: int) -> bool:
    return (await scene.heights())[wallet] > height


@asynccontextmanager
async def theft(scene: Scene, alter: Callable[[], Awaitable[None]]) -> AsyncIterator[Scene]:
    """A service that starts after the thief was there; afterwards the database is as it was."""
    await alter()
    try:
        await scene.service.start()
        yield scene
    finally:
        await scene.service.terminate()
        for table, rows in (await scene.thief.copy()).items():
            if rows != scene.now[table]:
                await scene.thief.put_back(table, scene.now[table])


async def tries(scene: Scene) -> list[int]:
    """The answers to every payment that the thief may ask for: with their own token, with the stolen one, and as the owner."""
    good_id = scene.good.split("_")[1]
    tokens = (THIEF_SECRET, f"sr_{good_id}_thief", scene.stolen)
    return [(await scene.send(wallet, token)).status_code for wallet in WALLETS for token in tokens]


async def test_nothing_is_wrong_with_what_nobody_altered(scene: Scene) -> None:
    async def nothing() -> None:
        """The thief only looks."""

    async with theft(scene, nothing):
        heights = await scene.heights()
        assert set(await tries(scene)) == {401}
        assert (await scene.send("denied", scene.good)).json()["code"] == "rule_denied"
        assert (await scene.send("frozen", scene.good)).json()["code"] == "frozen"
        assert (await scene.heights()) == heights
        assert scene.found() == ""


OWN_TOKEN = {
    "id": "f00d",
    "name": "backup",
    "secret_hash": hashlib.sha256(b"thief").digest(),
    "scopes": '["*"]',
    "created_at_ms": 1,
}
HEX = hashlib.sha256(b"thief").hexdigest()
TOKENS: dict[str, str] = {
    "the owner's token gets another secret": f"UPDATE strongroom_token SET secret_hash = X'{HEX}' WHERE name = 'good'",  # noqa: S608
    "the stolen token is not revoked": "UPDATE strongroom_token SET revoked_at_ms = NULL",
    "the stolen token's row is that of the owner": (
        "UPDATE strongroom_token SET revoked_at_ms = NULL, tag = (SELECT one.tag FROM"
        " (SELECT tag FROM strongroom_token WHERE name = 'good') AS one) WHERE name = 'stolen'"
    ),
}
RULES: dict[str, str] = {
    "the freeze is removed": "DELETE FROM strongroom_freeze",
    "the freeze is ended": "UPDATE strongroom_freeze SET ended_at_ms = 1, ended_by = 'operator'",
    "the rule is removed": "DELETE FROM strongroom_rule WHERE name = 'denies'",
    "the rule is ended": "UPDATE strongroom_rule SET ends_at_ms = 1 WHERE name = 'denies'",
    "the rule is about nothing": """UPDATE strongroom_rule SET document = '{"effect":"allow"}'""",
    "a rule is added": (
        "INSERT INTO strongroom_rule (id, name, document, added_at_ms, added_by, starts_at_ms)"
        """ VALUES ('f00d', 'all', '{"effect":"allow"}', 1, 'operator', 1)"""
    ),
    "all is forgotten": (
        "DELETE FROM strongroom_rule; DELETE FROM strongroom_freeze;"
        "UPDATE strongroom_guard SET generation = 0, sequence = NULL, tag = NULL"
    ),
}
TRAIL: dict[str, str] = {
    "the trail is wiped": "DELETE FROM strongroom_audit",
    "its end is cut off": "DELETE FROM strongroom_audit WHERE sequence > 9",
    "a row is changed": "UPDATE strongroom_audit SET principal = 'operator' WHERE sequence = 5",
    "a row is removed": "DELETE FROM strongroom_audit WHERE sequence = 5",
    "two rows change places": (
        "UPDATE strongroom_audit SET sequence = 100000 WHERE sequence = 5;"
        "UPDATE strongroom_audit SET sequence = 5 WHERE sequence = 6;"
        "UPDATE strongroom_audit SET sequence = 6 WHERE sequence = 100000"
    ),
    "who revoked the token is another": (
        "UPDATE strongroom_audit SET action = 'token.note' WHERE action = 'token.revoke'"
    ),
}


@pytest.mark.parametrize("alteration", TOKENS)
async def test_a_token_that_the_thief_made_or_changed_pays_nothing(scene: Scene, alteration: str) -> None:
    async with theft(scene, lambda: scene.thief.run(TOKENS[alteration])):
        heights = await scene.heights()
        assert set(await tries(scene)) == {401}
        assert await scene.heights() == heights
        assert "row_altered: The token" in scene.found()


async def test_a_token_that_the_thief_put_in_pays_nothing(scene: Scene) -> None:
    like_one_of_ours = scene.now["strongroom_token"][0] | OWN_TOKEN

    async def alter() -> None:
        await scene.thief.add("strongroom_token", like_one_of_ours)

    async with theft(scene, alter):
        heights = await scene.heights()
        assert set(await tries(scene)) == {401}
        assert await scene.heights() == heights
        assert "row_altered: The token backup" in scene.found()


@pytest.mark.parametrize("alteration", RULES)
async def test_no_rule_that_the_thief_changed_lets_anything_pass(scene: Scene, alteration: str) -> None:
    """Whoever asks, also with the owner's own token: the thief may work there."""
    async with theft(scene, lambda: scene.thief.run(*RULES[alteration].split(";"))):
        heights = await scene.heights()
        for wallet in WALLETS:
            answer = await scene.send(wallet, scene.good)
            assert (answer.status_code, answer.json()["code"]) == (503, "rules_altered")
        assert await scene.heights() == heights
        assert "row_altered: Rules or freezes" in scene.found()


@pytest.mark.parametrize("alteration", TRAIL)
async def test_a_trail_that_the_thief_changed_is_found(scene: Scene, alteration: str) -> None:
    async with theft(scene, lambda: scene.thief.run(*TRAIL[alteration].split(";"))):
        heights = await scene.heights()
        assert set(await tries(scene)) == {401}
        assert await scene.heights() == heights
        assert scene.found() != ""


@pytest.mark.parametrize("way", ["another key", "no key", "set back"])
async def test_a_trail_that_was_written_anew_is_found(scene: Scene, way: str) -> None:
    thief = scene.thief
    ways: dict[str, Callable[[], Awaitable[None]]] = {
        "another key": lambda: thief.rewrite_trail(OWN_KEYS),
        "no key": lambda: thief.rewrite_trail(NO_KEYS),
        "set back": thief.cut_trail,
    }
    await ways[way]()
    found = scene.found()
    assert "chain_broken" in found
    assert ("rows_missing" if way == "set back" else "rows_altered") in found

    async def nothing() -> None:
        """The thief was there before."""

    async with theft(scene, nothing):
        heights = await scene.heights()
        assert set(await tries(scene)) == {401}
        assert await scene.heights() == heights


async def test_a_request_that_the_thief_approved_is_not_signed(scene: Scene) -> None:
    """As if the client had asked for another payment, and people had approved it: the service would carry it out by itself."""
    (spent,) = scene.now["strongroom_approval"]
    alive = {"state": "approved", "ended_at_ms": None, "payload_id": None, "expires_at_ms": 2**60}
    forged = spent | alive | {"id": "f00d", "slot": bytes(32), "idempotency_key": "another"}

    async def alter() -> None:
        await scene.thief.put_back("strongroom_approval", [spent | alive, forged])

    async def is_refused() -> bool:
        (row,) = await scene.thief.rows("strongroom_approval", id="f00d")
        return row["reason"] is not None or row["state"] != "approved"

    async with theft(scene, alter):
        heights = await scene.heights()
        await until_true(is_refused)
        assert await scene.heights() == heights
        assert "row_altered: The approval f00d" in scene.found()


async def test_sealed_keys_that_the_thief_exchanged_sign_nothing(scene: Scene) -> None:
    rows = {row["name"]: row for row in scene.now["wallet"]}
    columns = ("encrypted_entropy", "encrypted_encryption_key")
    taken = {column: rows["hot"][column] for column in columns}
    exchanged = [row | taken if name == "vault" else row for name, row in rows.items()]

    async with theft(scene, lambda: scene.thief.put_back("wallet", exchanged)):
        heights = await scene.heights()
        answer = await scene.send("vault", scene.good)
        assert (answer.status_code, answer.json()["code"]) == (503, "sealed_row_altered")
        assert await scene.heights() == heights
        assert "sealed_row_altered: Wallet vault" in scene.found()


LOST: dict[str, tuple[str, str]] = {
    "a payment is removed": (
        "DELETE FROM strongroom_intent WHERE kind = 'SEND'",
        "payment_missing: The SEND",
    ),
    "a payment is another's": (
        "UPDATE strongroom_intent SET principal = 'token:other' WHERE kind = 'SEND'",
        "payment_altered: The SEND",
    ),
    "a payment went elsewhere": (
        "UPDATE strongroom_intent SET request = REPLACE(request, 'destination', 'origin') WHERE kind = 'SEND'",
        "payment_altered: The SEND",
    ),
    "a payment says nothing": (
        "UPDATE strongroom_intent SET request = '{}' WHERE kind = 'SEND'",
        "payment_altered: The SEND",
    ),
    "all payments are removed": ("DELETE FROM strongroom_intent", "payment_missing: The OPEN"),
    "a limit begins anew": ("DELETE FROM strongroom_window", "window_altered: The rule 'one a day'"),
    "a limit has counted nothing": (
        "UPDATE strongroom_window SET spent = '0 0|0 0 0|'",
        "window_altered: The rule 'one a day'",
    ),
    "a limit is not read": (
        "UPDATE strongroom_window SET spent = 'x'",
        "window_altered: The rule 'one a day'",
    ),
}


@pytest.mark.parametrize("alteration", LOST)
async def test_what_was_signed_and_is_not_there_any_more_is_found(scene: Scene, alteration: str) -> None:
    """It moves no money by itself: a client who asks again might pay again."""
    statement, words = LOST[alteration]
    heights = await scene.heights()
    await scene.thief.run(statement)
    try:
        assert words in scene.found()
        assert await scene.heights() == heights
    finally:
        for table in ("strongroom_intent", "strongroom_window"):
            await scene.thief.put_back(table, scene.now[table])


async def test_an_address_that_is_shown_to_payers_and_is_not_the_wallet_s_is_found(scene: Scene) -> None:
    shown = scene.addresses["hot"].removeprefix("atto://")
    tables = ("account", "strongroom_atto_account")
    rows = {table: [row for row in scene.now[table] if row["address"] != shown] for table in tables}
    (ours,) = [row for row in scene.now["account"] if row["address"] == shown]
    (chain,) = [row for row in scene.now["strongroom_atto_account"] if row["address"] == shown]

    async def alter() -> None:
        await scene.thief.put_back("account", [*rows["account"], ours | {"address": NOBODY}])
        theirs = chain | {"address": NOBODY, "public_key": b"\2" * 32}
        await scene.thief.put_back("strongroom_atto_account", [*rows["strongroom_atto_account"], theirs])

    async with theft(scene, alter):
        heights = await scene.heights()
        assert set(await tries(scene)) <= {401, 404}
        assert await scene.heights() == heights
        assert f"account_altered: The account {NOBODY} is not account 0 of wallet hot" in scene.found()


DECIDING = {
    "strongroom_approval",
    "strongroom_audit",
    "strongroom_freeze",
    "strongroom_guard",
    "strongroom_intent",
    "strongroom_rule",
    "strongroom_token",
    "strongroom_window",
}
"""Of these an older copy is found. docs/security.md says what of the others is not promised."""


async def test_no_table_that_is_put_back_to_an_older_copy_lets_money_out(scene: Scene) -> None:
    """Each in turn, also those that decide nothing: the token was not revoked then, nothing was frozen or denied."""
    older = [table for table, rows in scene.before.items() if rows != scene.now[table]]
    assert {*older} >= DECIDING
    for table in older:
        async with theft(scene, partial(scene.thief.put_back, table, scene.before[table])):
            heights = await scene.heights()
            assert set(await tries(scene)) == {401}, table
            for wallet in ("denied", "frozen"):
                answer = await scene.send(wallet, scene.good)
                assert answer.json()["code"] in {"rule_denied", "frozen", "rules_altered"}, (
                    table,
                    answer.text,
                )
            assert await scene.heights() == heights, table
            if table in DECIDING:
                assert scene.found() != "", table
