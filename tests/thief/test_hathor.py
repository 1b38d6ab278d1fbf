"""Hathor: a thief in the database. Each try is made before the API serves again; nothing is broadcast, and one command finds it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from commands.conftest import run
from strongroom.core.clock import SystemEntropy
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.security.keys.trail_key import TRAIL, TrailKey, secret_of
from strongroom.core.security.tokens import Tokens
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.hathor.proposals.broadcast_policy import VOCABULARY
from support.clock import ManualClock
from support.hathor import api as hathor_api
from support.hathor.api import recorded_rows, serving_api
from support.hathor.processes import AUTH_SECRET
from support.hathor.proposals import Client, payment
from thief.thief import NO_KEYS, OWN_KEYS, Copy, Thief, thief_at

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
RULE = {"effect": "approve", "approvals": {"needed": 1}}
PAID, WANTED = payment(0), payment(1)
VOTE = (
    "INSERT INTO strongroom_approval_vote (approval, principal, has_scope, at_ms, source)"
    " SELECT id, 'operator:ann', 1, 1, '' FROM strongroom_approval"
)


def trail_key() -> TrailKey:
    """As the ledger derives it."""
    return TrailKey(secret_of(AUTH_SECRET.encode(), TRAIL))


@dataclass(kw_only=True)
class Scene:
    database: Database
    variables: Mapping[str, str]
    thief: Thief
    clock: ManualClock
    proposal: str = ""
    """It waits for approval."""
    before: Copy
    """The database before the rule was made and the token revoked."""
    now: Copy

    def found(self) -> str:
        """What the named command says is wrong; empty: nothing is."""
        ended = run("audit", "verify", "--ledger", "hathor", variables=self.variables)
        return "\n".join(ended.stdout) if ended.status else ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Client]:
        async with serving_api(self.database, self.clock) as api:
            yield Client(api)

    async def restore(self) -> None:
        for table, rows in (await self.thief.copy()).items():
            if rows != self.now[table]:
                await self.thief.put_back(table, self.now[table])


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("thief")
    url, clock = sqlite_url(str(folder / "hathor.sqlite3")), ManualClock()
    variables = {
        "STRONGROOM_DATA": str(folder),
        "AUTH_SECRET": AUTH_SECRET,
        "HATHOR_NETWORK": "mainnet",
        "DEFAULT_SERVER": "http://127.0.0.1:9/v1a/",
        "STRONGROOM_CHECKPOINT_FILE": str(folder / "checkpoints"),
    }
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(hathor_api, "open_trail", trail_key)
        database = Database(url)
        stack.push_async_callback(database.close)
        async with serving_api(database, clock, rows=recorded_rows()) as api:
            client, audit = Client(api), Audit(clock, trail_key())
            await client.announce()
            tokens = Tokens(database, audit, clock, SystemEntropy(), scopes=["hathor:*"])
            stolen = await tokens.create(OPERATOR, "stolen", ["hathor:*"])
            assert (await client.send(await client.propose(PAID), PAID))[0] == 200
            assert client.node.pushed == [PAID.encode()]
            thief = await stack.enter_async_context(thief_at(url))
            scene = Scene(database=database, variables=variables, thief=thief, clock=clock, before={}, now={})
            scene.before = await thief.copy()
            rules = GuardAdministration(
                database, audit, clock, SystemEntropy(), vocabulary=VOCABULARY, loosening_delay_ms=0
            )
            await rules.add(OPERATOR, "all", json.dumps(RULE))
            scene.proposal = await client.propose(WANTED)
            status, answer = await client.send(scene.proposal, WANTED)
            assert "approvalId" in answer, (status, answer)
            await tokens.revoke(OPERATOR, stolen.id)
        assert run("audit", "checkpoint", "--ledger", "hathor", variables=variables).status == 0
        scene.now = await thief.copy()
        yield scene


async def assert_nothing_is_broadcast(scene: Scene) -> None:
    """Whether the wallet asks again, or the service carries out what people approved."""
    async with scene.serving() as client:
        status, answer = await client.send(scene.proposal, WANTED)
        assert status != 200, answer
        await client.api.carrying_out.advance()
        assert client.node.pushed == []


async def test_nothing_is_wrong_with_what_nobody_altered(scene: Scene) -> None:
    assert scene.found() == ""
    await assert_nothing_is_broadcast(scene)
    await scene.restore()


ALTERED: dict[str, tuple[str, str]] = {
    "the stolen token is not revoked": (
        "UPDATE strongroom_token SET revoked_at_ms = NULL",
        "row_altered: The token stolen",
    ),
    "the rule is removed": ("DELETE FROM strongroom_rule", "row_altered: Rules or freezes"),
    "the rule lets all pass": (
        """UPDATE strongroom_rule SET document = '{"effect":"allow"}'""",
        "row_altered: Rules or freezes",
    ),
    "all is forgotten": (
        "DELETE FROM strongroom_rule; UPDATE strongroom_guard SET generation = 0, sequence = NULL, tag = NULL",
        "row_altered: Rules or freezes",
    ),
    "the request is approved": (
        f"UPDATE strongroom_approval SET state = 'approved'; {VOTE}",  # noqa: S608
        "row_altered: The approval",
    ),
    "a vote is forged": (VOTE, "row_altered: The approval"),
    "the trail is wiped": ("DELETE FROM strongroom_audit", "rows_missing"),
    "its end is cut off": ("DELETE FROM strongroom_audit WHERE sequence > 3", "rows_missing"),
    "a row is changed": (
        "UPDATE strongroom_audit SET principal = 'operator:eve' WHERE action = 'admit'",
        "chain_broken",
    ),
    "what was sent is removed": ("DELETE FROM strongroom_intent", "payment_missing"),
    "what was sent is another's": ("UPDATE strongroom_intent SET account = 'x'", "payment_altered"),
    "what was sent says nothing": ("UPDATE strongroom_intent SET request = '{}'", "payment_altered"),
}


@pytest.mark.parametrize("alteration", ALTERED)
async def test_whatever_the_thief_altered_is_found_and_nothing_is_broadcast(
    scene: Scene, alteration: str
) -> None:
    statements, words = ALTERED[alteration]
    await scene.thief.run(*statements.split(";"))
    try:
        assert words in scene.found()
        await assert_nothing_is_broadcast(scene)
    finally:
        await scene.restore()


async def test_a_token_that_the_thief_put_in_is_found(scene: Scene) -> None:
    (ours,) = scene.now["strongroom_token"]
    await scene.thief.add(
        "strongroom_token", ours | {"id": "f00d", "name": "backup", "secret_hash": b"t" * 32}
    )
    try:
        assert "row_altered: The token backup" in scene.found()
        await assert_nothing_is_broadcast(scene)
    finally:
        await scene.restore()


@pytest.mark.parametrize("way", ["another key", "no key", "set back"])
async def test_a_trail_that_was_written_anew_is_found(scene: Scene, way: str) -> None:
    thief = scene.thief
    ways: dict[str, Callable[[], Awaitable[None]]] = {
        "another key": lambda: thief.rewrite_trail(OWN_KEYS),
        "no key": lambda: thief.rewrite_trail(NO_KEYS),
        "set back": thief.cut_trail,
    }
    await ways[way]()
    try:
        found = scene.found()
        assert "chain_broken" in found
        assert ("rows_missing" if way == "set back" else "rows_altered") in found
        await assert_nothing_is_broadcast(scene)
    finally:
        await scene.restore()


DECIDING = {
    "strongroom_approval",
    "strongroom_audit",
    "strongroom_guard",
    "strongroom_rule",
    "strongroom_token",
}
"""Of these an older copy is found. docs/security.md says what of the others is not promised."""


async def test_no_table_that_is_put_back_to_an_older_copy_lets_anything_out(scene: Scene) -> None:
    older = [table for table, rows in scene.before.items() if rows != scene.now[table]]
    assert {*older} >= DECIDING
    for table in older:
        await scene.thief.put_back(table, scene.before[table])
        try:
            if table in DECIDING:
                assert scene.found() != "", table
            await assert_nothing_is_broadcast(scene)
        finally:
            await scene.restore()
