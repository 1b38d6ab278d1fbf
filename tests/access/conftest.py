"""Surfaces whose callers present API tokens, and what is asked of every one of their routes."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any

import httpx2
import msgspec
import pytest
from sqlalchemy import Connection, select, update

from strongroom.core.security.access import OPERATOR
from strongroom.core.security.tokens import Tokens
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.all_rows import all_rows
from support.atto_network import AttoNetwork, running_network
from support.route_table import Operation, operations_of

UNKNOWN = "sr_0123456789abcdef_" + "a" * 52
MALFORMED = ("x", "sr_", "sr_00_00", "sr_0123456789abcdef", "x" * 5000, "a.b.c", "\xff\xfe")
OF_OTHERS = ("hathor:*", "atto:*", "bittensor:*", "admin:*", "toy:*")
FILES = {"path": "openapi.json", "file_path": "swagger-ui.css"}
TOKENS = frozenset({"strongroom_token", "strongroom_token_use"})
_names = count(1)

Dialect = Callable[[httpx2.Response, int], bool]


@dataclass(kw_only=True)
class Guarded:
    """One surface. `words` says of a refusal whether it is in the surface's own words."""

    application: Any
    client: httpx2.AsyncClient
    tokens: Tokens
    database: Database
    scopes: frozenset[str]
    words: Dialect
    now_ms: int
    values: dict[str, str]
    """What stands for the parameters of paths; the files of the documentation need not be named."""
    bodies: Mapping[str, Any]
    """Of operations that have one, with an effect if they are let through."""
    queries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    moving: frozenset[str] = frozenset()
    """Tables that the service's own loops write."""
    limits: str = ""
    """Of every token: what makes a narrow token wide, so that only its scopes count."""

    @cached_property
    def operations(self) -> list[Operation]:
        return operations_of(self.application)

    @cached_property
    def guarded(self) -> list[Operation]:
        return [one for one in self.operations if not one.is_public]

    async def token(self, *scopes: str, expires_at_ms: int | None = None) -> str:
        """`scopes` may be ones that the ledger has not: an earlier version let a token have any."""
        made = await self.tokens.create(
            OPERATOR, f"caller-{next(_names)}", ["*"], expires_at_ms, limits=self.limits
        )
        mine = update(tables.token).where(tables.token.c.id == made.id)
        granted = mine.values(scopes=msgspec.json.encode(sorted(scopes)).decode())

        def grant(connection: Connection) -> None:
            connection.execute(granted)
            sequence = connection.execute(select(tables.token.c.sequence).where(tables.token.c.id == made.id))
            self.tokens._rows.tag(connection, made.id, sequence.scalar_one())

        await self.database.write(grant)
        return made.secret

    async def revoked(self) -> str:
        made = await self.tokens.create(OPERATOR, f"caller-{next(_names)}", ["*"], limits=self.limits)
        await self.tokens.revoke(OPERATOR, made.id)
        return made.secret

    async def ask(self, operation: Operation, authorization: str | None) -> httpx2.Response:
        """With a body that has an effect, whoever asks."""
        request = httpx2.Request(
            operation.method,
            self.client.base_url.join(operation.path_with(FILES | self.values)),
            json=self.bodies.get(operation.name),
            params=self.queries.get(operation.name),
            headers={} if authorization is None else {b"Authorization": authorization.encode("latin-1")},
        )
        return await self.client.send(request)


async def without_the_scope(surface: Guarded, scopes: Mapping[str, str] | None = None) -> list[str]:
    """Asks every guarded route as everybody who may not; what was not refused in the surface's words, or had an effect.

    `scopes`: of the routes of a surface that declares them in its own way.
    """
    scopes = scopes or {one.name: one.scope or "" for one in surface.guarded}
    strangers = {
        "nobody": None,
        "unknown": UNKNOWN,
        "expired": await surface.token("*", expires_at_ms=surface.now_ms - 1),
        "revoked": await surface.revoked(),
        **{f"malformed {number}": text for number, text in enumerate(MALFORMED)},
    }
    others = {
        scope: await surface.token(*(surface.scopes - {scope}), *_of_others(scope))
        for scope in set(scopes.values())
    }
    left_out = TOKENS | surface.moving
    before = await all_rows(surface.database, but=left_out)
    wrong = []
    for operation in surface.guarded:
        for who, token in strangers.items():
            header = None if token is None else f"Bearer {token}"
            response = await surface.ask(operation, header)
            if response.status_code != 401 or not surface.words(response, 401):
                wrong.append(f"{operation.name}: {who}: {response.status_code} {response.text}")
        response = await surface.ask(operation, f"Bearer {others[scopes[operation.name]]}")
        if response.status_code != 403 or not surface.words(response, 403):
            wrong.append(f"{operation.name}: without its scope: {response.status_code} {response.text}")
    after = await all_rows(surface.database, but=left_out)
    changed = [name for name in after if after[name] != before[name]]
    return [*wrong, *(f"{name} has changed" for name in changed)]


async def with_the_scope(surface: Guarded) -> dict[str, int]:
    """The status of every guarded route for a caller that has exactly its scope."""
    # All tokens first: after a seal none is made.
    tokens = [(operation, await surface.token(str(operation.scope))) for operation in surface.guarded]
    return {
        operation.name: (await surface.ask(operation, f"Bearer {token}")).status_code
        for operation, token in tokens
    }


async def as_nobody(surface: Guarded) -> dict[str, int]:
    """The status of every public route for somebody without a token."""
    return {
        one.name: (await surface.ask(one, None)).status_code for one in surface.operations if one.is_public
    }


def documentation(page: str, document: str) -> set[str]:
    """The routes of the page with the API's description, which every surface shows to everybody."""
    files = ("GET /swagger-ui-start.js", "GET /swagger-ui/{file_path}", "HEAD /swagger-ui/{file_path}")
    return {f"GET {page}", *files, *(f"GET {document}{end}" for end in ("", "/openapi.json", "/{path}"))}


def _of_others(scope: str) -> list[str]:
    """Everything on the other ledgers."""
    return [wide for wide in OF_OTHERS if wide.partition(":")[0] != scope.partition(":")[0]]


@pytest.fixture(scope="module")
async def network() -> AsyncIterator[AttoNetwork]:
    async with running_network() as network:
        yield network
