"""Bittensor: a thief in the database. Each try is made before the service starts again; no extrinsic comes of it, and one command finds it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.engine import URL

from commands.conftest import run
from strongroom.core.security.access import OPERATOR
from strongroom.core.storage.database import sqlite_url
from strongroom_sandbox.bittensor.execution.extrinsics import read_extrinsic
from support.bittensor.live_node import LiveNode, live_node, new_node
from support.bittensor.weighing import OTHERS, body
from support.bittensor_service import (
    COLD,
    HOT,
    BittensorService,
    bearer,
    database_variables,
    import_validator,
    running_bittensor,
)
from support.mariadb import MariaDB
from support.running import running
from support.waiting import PATIENCE_S, until_true
from thief.thief import NO_KEYS, OWN_KEYS, Copy, Thief, thief_at

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
RULE = {"effect": "approve", "approvals": {"needed": 1}}
SCOPES = ("bittensor:*",)
SIGNED = (1,)
"""What was signed before the thief came, by version key."""


@dataclass(kw_only=True)
class Scene:
    node: LiveNode
    variables: Mapping[str, str]
    thief: Thief
    good: str = ""
    stolen: str = ""
    approval: str = ""
    before: Copy
    """The database before the token was revoked and the rule was made."""
    now: Copy

    @property
    def signed(self) -> tuple[int, ...]:
        """The version keys of all that our keys signed, in blocks and in the pool."""
        self.node.produce()
        return tuple(
            extrinsic.call.args.get("version_key", 0)
            for block in self.node.node.chain.best
            for extrinsic in (read_extrinsic(raw, block.runtime) for raw in block.extrinsics[1:])
            if extrinsic.signer in {HOT.public_key, COLD.public_key}
        )

    def found(self) -> str:
        """What the named command says is wrong; empty: nothing is."""
        ended = run("audit", "verify", "--ledger", "bittensor", variables=self.variables)
        return "\n".join(ended.stdout) if ended.status else ""


async def ask(service: BittensorService, token: str, number: int) -> httpx2.Response:
    weights = body(uids=[0], weights=[number + 1], version_key=number)
    headers = {**bearer(token), "Idempotency-Key": f"weights-{number}"}
    return await service.client.post("/wallet/set_weights", json=weights, headers=headers)


@pytest.fixture(params=["sqlite", "mariadb"], scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[URL, Path]:
    folder = tmp_path_factory.mktemp("thief")
    if request.param == "sqlite":
        return sqlite_url(str(folder / "bittensor.sqlite3")), folder
    server: MariaDB = request.getfixturevalue("mariadb")
    return server.new_database(), folder


@pytest.fixture(scope="module")
async def scene(place: tuple[URL, Path]) -> AsyncIterator[Scene]:
    url, folder = place
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(live_node(new_node(424, [HOT.public_key, *OTHERS])))
        node.change(WeightsSetRateLimit=0)
        variables = {
            **database_variables(url, folder),
            "network": "local",
            "chain_endpoint": node.url,
            "STRONGROOM_CHECKPOINT_FILE": str(folder / "checkpoints"),
        }
        async with running_bittensor(variables) as service:
            await import_validator(service)
            thief = await stack.enter_async_context(thief_at(url))
            scene = Scene(node=node, variables=variables, thief=thief, before={}, now={})
            scene.good = (await service.ledger.tokens.create(OPERATOR, "good", SCOPES)).secret
            stolen = await service.ledger.tokens.create(OPERATOR, "stolen", SCOPES)
            scene.stolen = stolen.secret
            async with asyncio.timeout(PATIENCE_S), running(_produce(node)):
                assert (await ask(service, scene.stolen, 1)).status_code == httpx2.codes.OK
                await until_true(lambda: _is_final(service, scene.stolen))
            scene.before = await thief.copy()
            await service.ledger.rules.add(OPERATOR, "all", json.dumps(RULE))
            waiting = (await ask(service, scene.good, 2)).json()
            assert "approval_id" in waiting, waiting
            scene.approval = waiting["approval_id"]
            await service.ledger.tokens.revoke(OPERATOR, stolen.id)
        assert run("audit", "checkpoint", "--ledger", "bittensor", variables=variables).status == 0
        scene.now = await thief.copy()
        yield scene


async def _is_final(service: BittensorService, token: str) -> bool:
    job = await service.client.get("/wallet/jobs/weights-1", headers=bearer(token))
    return bool(job.json().get("status") == "final")


async def _produce(node: LiveNode) -> None:
    while True:
        node.produce()
        await asyncio.sleep(0.05)


@asynccontextmanager
async def theft(scene: Scene, alter: Callable[[], Awaitable[None]]) -> AsyncIterator[BittensorService]:
    """A service that starts after the thief was there; afterwards the database is as it was, and nothing was signed."""
    await alter()
    try:
        async with running_bittensor(scene.variables) as service:
            yield service
        assert scene.signed == SIGNED
    finally:
        for table, rows in (await scene.thief.copy()).items():
            if rows != scene.now[table]:
                await scene.thief.put_back(table, scene.now[table])


async def tries(service: BittensorService, scene: Scene) -> list[int]:
    """The answers to what the thief may ask for: with a token of their own, the stolen one, and as the owner."""
    good_id = scene.good.split("_")[1]
    tokens = ("sr_f00d_thief", f"sr_{good_id}_thief", scene.stolen, scene.good)
    return [(await ask(service, token, 10 + number)).status_code for number, token in enumerate(tokens)]


async def test_nothing_is_wrong_with_what_nobody_altered(scene: Scene) -> None:
    async def nothing() -> None:
        """The thief only looks."""

    async with theft(scene, nothing) as service:
        assert (await tries(service, scene))[:3] == [401, 401, 401]
    assert scene.found() == ""


HEX = "aa" * 32
VOTE = (
    "INSERT INTO strongroom_approval_vote (approval, principal, has_scope, at_ms, source)"
    " SELECT id, 'operator:ann', 1, 1, '' FROM strongroom_approval"
)
ALTERED: dict[str, tuple[str, str]] = {
    "the owner's token gets another secret": (
        f"UPDATE strongroom_token SET secret_hash = X'{HEX}' WHERE name = 'good'",  # noqa: S608
        "row_altered: The token good",
    ),
    "the stolen token is not revoked": (
        "UPDATE strongroom_token SET revoked_at_ms = NULL",
        "row_altered: The token stolen",
    ),
    "the rule is removed": ("DELETE FROM strongroom_rule", "row_altered: Rules or freezes"),
    "the rule lets all pass": (
        """UPDATE strongroom_rule SET document = '{"effect":"allow"}'""",
        "row_altered: Rules or freezes",
    ),
    "the request is approved": (
        f"UPDATE strongroom_approval SET state = 'approved'; {VOTE}",  # noqa: S608
        "row_altered: The approval",
    ),
    "a vote is forged": (
        VOTE,
        "row_altered: The approval",
    ),
    "the trail is wiped": ("DELETE FROM strongroom_audit", "rows_missing"),
    "its end is cut off": ("DELETE FROM strongroom_audit WHERE sequence > 9", "rows_missing"),
    "a row is changed": (
        "UPDATE strongroom_audit SET principal = 'operator:eve' WHERE action = 'sign'",
        "chain_broken",
    ),
    "what was signed is removed": ("DELETE FROM strongroom_intent", "payment_missing"),
    "what was signed is another's": ("UPDATE strongroom_intent SET principal = 'x'", "payment_altered"),
    "what was signed says nothing": ("UPDATE strongroom_intent SET request = '{}'", "payment_altered"),
}


@pytest.mark.parametrize("alteration", ALTERED)
async def test_whatever_the_thief_altered_is_found_and_signs_nothing(scene: Scene, alteration: str) -> None:
    statements, words = ALTERED[alteration]
    await scene.thief.run(*statements.split(";"))
    assert words in scene.found()
    async with theft(scene, partial(asyncio.sleep, 0)) as service:
        assert (await tries(service, scene))[:3] == [401, 401, 401]
        again = await ask(service, scene.good, 2)
        assert again.json().get("submitted") is not True, again.text


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
    async with theft(scene, partial(asyncio.sleep, 0)) as service:
        assert (await tries(service, scene))[:3] == [401, 401, 401]


async def test_keys_that_the_thief_exchanged_sign_nothing(scene: Scene) -> None:
    rows = scene.now["strongroom_bittensor_key"]
    sealed = [row["sealed_secret"] for row in rows]
    exchanged = [row | {"sealed_secret": other} for row, other in zip(rows, sealed[::-1], strict=True)]
    async with theft(scene, partial(scene.thief.put_back, "strongroom_bittensor_key", exchanged)) as service:
        answer = await service.sign("<Bytes>strongroom</Bytes>", bearer(scene.good))
        assert answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE, answer.text
        assert "sealed_row_altered: Key" in scene.found()


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
        async with theft(scene, partial(scene.thief.put_back, table, scene.before[table])) as service:
            assert (await tries(service, scene))[:3] == [401, 401, 401], table
            if table in DECIDING:
                assert scene.found() != "", table
