"""The admin API over prepared ledgers, without their nodes, and tokens to ask it with."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.engine import URL

from strongroom.admin.estate import Estate
from strongroom.admin.settings import AdminSettings
from strongroom.admin.surface import admin_surface
from strongroom.console.surface import Console, with_console
from strongroom.core.guard.settings import GuardSettings
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.http.listener import behind_door
from strongroom.core.http.requests.naming import NamedRequests
from strongroom.core.ledger.contract import Ledger
from strongroom.core.ledger.surroundings import Surroundings
from strongroom.core.runtime.telemetry import Health, Metrics
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.attempts import Attempts
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.rows.tokens import TokenRows
from strongroom.core.security.tokens import Tokens
from strongroom.core.storage import tables
from strongroom.registry import LEDGERS
from strongroom.settings import read_settings
from support.clock import ManualClock, SeededEntropy
from support.schema import shared_schemas
from support.serving import serving
from support.unslowed import UNSLOWED

SETTINGS = AdminSettings(host="127.0.0.1", port=0, is_port_chosen=True, trusted_proxies=TrustedProxies())
VARIABLES = {
    "ATTO_NETWORK": "local",
    "NODE_BASE_URL": "http://127.0.0.1:9",
    "HATHOR_NETWORK": "mainnet",
    "DEFAULT_SERVER": "http://127.0.0.1:9/v1a/",
    "AUTH_SECRET": "a secret of tests that is long enough",
}
_names = count(1)
Json = Any


@dataclass(kw_only=True)
class Office:
    """A running admin API. `ledgers` are in the order of the registry."""

    ledgers: Mapping[str, Ledger]
    client: httpx2.AsyncClient
    attempts: Attempts
    clock: ManualClock
    health: Health
    application: Any
    entropy: SeededEntropy
    console: Console

    async def token(self, *scopes: str, on: Sequence[str] = ("atto",), name: str = "", **terms: Any) -> str:
        """The same new token on each of these ledgers, with these scopes alone."""
        name = name or f"caller-{next(_names)}"
        database = self.ledgers[on[0]].database
        audit = self.ledgers[on[0]].audit
        tokens = Tokens(database, audit, self.clock, self.entropy, scopes=scopes)
        secret = (await tokens.create(OPERATOR, name, scopes, **terms)).secret
        query = select(tables.token).where(tables.token.c.id == secret.split("_")[1])
        row = await database.fetch_one(query)
        assert row is not None
        for other in on[1:]:
            ledger = self.ledgers[other]

            def copy(connection: Connection, key: TrailKey = ledger.trail_key) -> None:
                connection.execute(tables.token.insert(), dict(row._mapping))
                TokenRows(key).tag(connection, row.id, 0)

            await ledger.database.write(copy)
        return secret

    async def ask(
        self, secret: str | None, method: str, path: str, body: Json = None, **query: Any
    ) -> httpx2.Response:
        return await self.client.request(
            method,
            f"/admin/v1{path}",
            json=body,
            params=query or None,
            headers={} if secret is None else {"Authorization": f"Bearer {secret}"},
        )

    async def audit(self, ledger: str = "atto") -> list[tuple[str, str, str, Json]]:
        """Principal, action, subject and details of each row."""
        query = select(tables.audit).order_by(tables.audit.c.sequence)
        return [
            (row.principal, row.action, row.subject, msgspec.json.decode(row.details))
            for row in await self.ledgers[ledger].database.fetch_all(query)
        ]


@asynccontextmanager
async def running_office(
    folder: Path,
    clock: ManualClock,
    *,
    databases: Mapping[str, URL] | None = None,
    unprepared: Sequence[str] = (),
    guard: GuardSettings | None = None,
) -> AsyncIterator[Office]:
    """Ledgers on SQLite unless `databases` names others; the `unprepared` ones have not found their database yet."""
    settings = read_settings(VARIABLES | {"STRONGROOM_DATA": str(folder)}, ("atto", "hathor"))
    health, metrics = Health(), Metrics("test")
    surroundings = Surroundings(
        clock=clock,
        entropy=SeededEntropy(),
        health=health,
        metrics=metrics,
        guard=guard or GuardSettings(),
        free_attempts=UNSLOWED,
    )
    async with AsyncExitStack() as stack:
        ledgers = {}
        for definition in LEDGERS:
            own = settings.of(definition)
            if own is None:
                continue
            if databases and definition.name in databases:
                own = replace(own, database=databases[definition.name])
            if definition.name not in unprepared:
                shared_schemas().fill_new(own.database, [definition.revisions])
            ledger = ledgers[definition.name] = definition.make(own, surroundings)
            stack.push_async_callback(ledger.close)
            if definition.name not in unprepared:
                await ledger.prepare()
        estate = Estate([*ledgers.values()], health, clock)
        attempts = Attempts("console", clock, SeededEntropy(), metrics, estate.record, free=UNSLOWED)
        api = admin_surface(SETTINGS, estate, attempts=attempts, metrics=metrics)
        console = with_console(
            api,
            SETTINGS,
            estate,
            attempts=attempts,
            metrics=metrics,
            clock=clock,
            entropy=SeededEntropy(9),
        )
        surface = console.surface
        named = NamedRequests(behind_door(surface), SeededEntropy())
        url = await stack.enter_async_context(serving(named))
        client = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=30)
        )
        yield Office(
            ledgers=ledgers,
            client=client,
            attempts=attempts,
            clock=clock,
            health=health,
            application=surface.application,
            entropy=SeededEntropy(7),
            console=console,
        )
