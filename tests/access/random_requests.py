"""Random requests to what signs, by callers that may not; afterwards nothing is signed."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from access.conftest import MALFORMED, OF_OTHERS, UNKNOWN, Guarded
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.state import FreezeScope
from strongroom.core.intents import tables as intents
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.certificates import CertificateBinding, CertificateUse
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.seeds import seeded

AT_ONCE = 8
SOME, MANY = 300, 3_400
"""On each of three ledgers; the many are more than 10,000 together."""
AMOUNTS = pytest.mark.parametrize("amount", [SOME, pytest.param(MANY, marks=pytest.mark.slow)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """`why` it may not."""

    why: str
    authorization: str | None
    frozen_wallet_alone: bool = False
    """It may sign with every other wallet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Generate = Callable[[random.Random, Caller], Asked]


async def callers_that_may_not(
    surface: Guarded,
    rules: GuardAdministration,
    signing: frozenset[str],
    frozen_wallet: str,
) -> list[Caller]:
    """One for each reason. Their rules and freezes are in the ledger's database from now on."""
    denials: dict[str, dict[str, Any]] = {
        "denied": {},
        "elsewhere": {"unless": {"networks": ["192.0.2.0/24"]}},
    }
    names = {why: f"may-not-{why}" for why in ("frozen", *denials)}
    secrets = {
        why: (await surface.tokens.create(OPERATOR, name, ["*"], limits=surface.limits)).secret
        for why, name in names.items()
    }
    await rules.freeze(OPERATOR, FreezeScope.TOKEN, names["frozen"], "it leaked")
    await rules.freeze(OPERATOR, FreezeScope.WALLET, frozen_wallet, "a lost laptop")
    for why, unless in denials.items():
        rule = {"effect": "deny", "when": {"principals": [f"token:{names[why]}"]}}
        await rules.add(OPERATOR, why, json.dumps(rule | unless))
    own = next(iter(signing)).partition(":")[0]
    others = [wide for wide in OF_OTHERS if not wide.startswith(f"{own}:")]
    texts = {
        **{f"malformed {number}": text for number, text in enumerate(MALFORMED)},
        "unknown": UNKNOWN,
        "expired": await surface.token("*", expires_at_ms=surface.now_ms - 1),
        "revoked": await surface.revoked(),
        "without the scope": await surface.token(*(surface.scopes - signing), *others),
        **secrets,
        "from its network alone": await _narrow(surface, "network", networks=["192.0.2.0/24"]),
        "with a certificate alone": await _narrow(
            surface,
            "certificate",
            certificate=CertificateBinding(key=bytes(32), authority=None, title="of nobody"),
            certificate_use=CertificateUse.BESIDE,
        ),
    }
    return [
        Caller(why="nobody", authorization=None),
        *(Caller(why=why, authorization=f"Bearer {text}") for why, text in texts.items()),
        Caller(
            why="frozen wallet",
            authorization=f"Bearer {await surface.token('*')}",
            frozen_wallet_alone=True,
        ),
    ]


async def _narrow(surface: Guarded, name: str, **terms: Any) -> str:
    """A token with every scope, whose terms these requests do not meet."""
    made = await surface.tokens.create(OPERATOR, f"may-not-{name}", ["*"], limits=surface.limits, **terms)
    return made.secret


async def ask_randomly(
    client: httpx2.AsyncClient, callers: list[Caller], generate: Generate, amount: int
) -> Counter[str]:
    """Asks so often; how often each answer came, by why the caller may not and the status."""
    randomness = seeded("random requests")
    turns = asyncio.Semaphore(AT_ONCE)
    found: Counter[str] = Counter()

    async def ask(caller: Caller, asked: Asked) -> None:
        async with turns:
            response = await client.send(_request(client, caller, asked))
        found[f"{caller.why}: {response.status_code}"] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(amount):
            caller = randomness.choice(callers)
            group.create_task(ask(caller, generate(randomness, caller)))
    assert found.total() == amount
    return found


def _request(client: httpx2.AsyncClient, caller: Caller, asked: Asked) -> httpx2.Request:
    headers = {name.encode(): value.encode("latin-1") for name, value in asked.headers.items()}
    if caller.authorization is not None:
        headers[b"Authorization"] = caller.authorization.encode("latin-1")
    return httpx2.Request(asked.method, client.base_url.join(asked.path), json=asked.body, headers=headers)


async def signed(database: Database) -> tuple[int, int]:
    """How many payloads were ever made, and how many signatures the audit trail has."""
    is_signature = tables.audit.c.action.in_(("sign", "admit"))
    payloads = await database.fetch_one(select(func.count()).select_from(intents.intent))
    rows = await database.fetch_one(select(func.count()).select_from(tables.audit).where(is_signature))
    assert payloads is not None
    assert rows is not None
    return int(payloads[0]), int(rows[0])


Submitted = Callable[[], Awaitable[object]]


async def assert_nothing_signed(
    surface: Guarded, callers: list[Caller], generate: Generate, amount: int, submitted: Submitted
) -> None:
    """`submitted` is what the network has of this service. Every caller must come to words, and most to a plain refusal."""
    before = await signed(surface.database), await submitted()
    found = await ask_randomly(surface.client, callers, generate, amount)
    assert (await signed(surface.database), await submitted()) == before, found
    assert {each.partition(": ")[0] for each in found} == {caller.why for caller in callers}
    refused = sum(count for each, count in found.items() if each.endswith((": 401", ": 403")))
    assert refused > amount / 2, found
    assert not [each for each in found if each.endswith(": 500")], found
