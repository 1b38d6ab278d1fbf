"""On every surface a client certificate is another way to be the principal of a token, and of nothing else."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from access.conftest import Guarded
from strongroom.atto.definition import REVISIONS as ATTO_REVISIONS
from strongroom.atto.scopes import SCOPES as ATTO_SCOPES
from strongroom.bittensor.authorization.limits import SCOPES as BITTENSOR_SCOPES
from strongroom.bittensor.definition import REVISIONS as BITTENSOR_REVISIONS
from strongroom.core.clock import SystemClock
from strongroom.core.security.access import EXPORT_RIGHT, OPERATOR
from strongroom.core.security.certificates import bind_certificate
from strongroom.core.security.tokens import Tokens
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.hathor.api.terms import Access, terms_of
from strongroom.hathor.definition import REVISIONS as HATHOR_REVISIONS
from strongroom.hathor.scopes import SCOPES as HATHOR_SCOPES
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, SQLITE_NAME, database_variables, running_service
from support.bittensor_service import WALLET, running_bittensor
from support.certificates import Authority, Certificate, client_context
from support.clock import ManualClock
from support.hathor.api import WALLET_ID, recorded_rows, serving_api
from support.route_table import Operation
from support.schema import Schemas
from support.tls_serving import serving_tls
from support.waiting import PATIENCE_S

pytestmark = pytest.mark.anyio

OPEN = {401: "refused", 403: "refused"}
VALUES = {
    "name": "w",
    "walletName": "w",
    "address": NOBODY,
    "toIndex": "1",
    "transactionHash": "00" * 32,
    "identity": WALLET,
    "netuid": "2",
    "job": "none",
    "approvalId": "none",
    "txProposalId": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    authority: Authority
    surface: Guarded
    scopes: dict[str, str]
    """Of every operation that API tokens open."""

    @asynccontextmanager
    async def client(self, certificate: Certificate | None) -> AsyncIterator[httpx2.AsyncClient]:
        context: ssl.SSLContext = client_context(self.authority, certificate)
        base_url = self.surface.client.base_url
        async with httpx2.AsyncClient(
            base_url=base_url, verify=context, trust_env=False, timeout=PATIENCE_S
        ) as client:
            yield client

    async def statuses(self, certificate: Certificate | None, **headers: str) -> dict[str, int]:
        async with self.client(certificate) as client:
            return {
                one.name: (
                    await client.request(
                        one.method,
                        one.path_with(VALUES),
                        headers=headers,
                        params={"wallet_name": "x", "id": WALLET_ID},
                    )
                ).status_code
                for one in self.surface.operations
                if one.name in self.scopes
            }

    async def bound(self, name: str, *scopes: str) -> tuple[Certificate, str]:
        certificate = self.authority.issue(name)
        made = await self.surface.tokens.create(
            OPERATOR, name, scopes, certificate=bind_certificate(certificate.path.read_bytes())
        )
        return certificate, made.id


def house(authority: Authority, surface: Guarded, operations: list[tuple[Operation, str]]) -> House:
    return House(authority=authority, surface=surface, scopes={one.name: scope for one, scope in operations})


def guarded(
    application: object,
    client: httpx2.AsyncClient,
    tokens: Tokens,
    database: Database,
    scopes: frozenset[str],
) -> Guarded:
    return Guarded(
        application=application,
        client=client,
        tokens=tokens,
        database=database,
        scopes=scopes,
        words=lambda _response, _status: True,
        now_ms=SystemClock().now_ms(),
        values={},
        bodies={},
    )


@pytest.fixture(params=["atto", "bittensor", "hathor's first API"])
async def surface(
    request: pytest.FixtureRequest, network: AttoNetwork, schemas: Schemas, tmp_path: Path
) -> AsyncIterator[House]:
    authority = Authority(tmp_path / "authority")
    serve = serving_tls(authority)
    if request.param == "atto":
        url = schemas.fill(sqlite_url(str(tmp_path / SQLITE_NAME)), [ATTO_REVISIONS])
        variables = database_variables(url, tmp_path) | {"ATTO_REQUIRE_TOKEN": "true"}
        async with running_service(network, variables, serve) as atto:
            ledger = atto.ledger
            found = guarded(
                atto.application, atto.client, ledger.tokens, ledger.database, frozenset(ATTO_SCOPES)
            )
            yield house(authority, found, [(one, one.scope or "") for one in found.guarded])
    elif request.param == "bittensor":
        schemas.fill(sqlite_url(str(tmp_path / "bittensor.sqlite3")), [BITTENSOR_REVISIONS])
        async with running_bittensor({"STRONGROOM_DATA": str(tmp_path)}, serve) as service:
            chain = service.ledger
            found = guarded(
                service.application, service.client, chain.tokens, chain.database, frozenset(BITTENSOR_SCOPES)
            )
            yield house(authority, found, [(one, one.scope or "") for one in found.guarded])
    else:
        url = schemas.fill(sqlite_url(str(tmp_path / "hathor.sqlite3")), [HATHOR_REVISIONS])
        database, clock = Database(url), ManualClock(SystemClock().now_ms())
        async with (
            serving_api(database, clock, rows=recorded_rows(), legacy_needs_token=True) as api,
            serve(api.application) as base_url,
            httpx2.AsyncClient(base_url=base_url, verify=False) as client,
        ):
            found = guarded(api.application, client, api.api_tokens, database, frozenset(HATHOR_SCOPES))
            own = [(one, terms_of(one.handler)) for one in found.operations]
            yield house(
                authority, found, [(one, terms.scope) for one, terms in own if terms.access is Access.LEGACY]
            )
        await database.close()


async def test_a_certificate_opens_what_its_token_may(surface: House) -> None:
    for scope in sorted(surface.surface.scopes):
        certificate, _ = await surface.bound(f"only-{scope.replace(':', '-')}", scope)
        for name, status in (await surface.statuses(certificate)).items():
            if surface.scopes[name] == scope:
                assert status not in OPEN, name
            else:
                assert status == 403, name


async def test_no_certificate_and_one_that_is_nobody_s_open_nothing(surface: House, tmp_path: Path) -> None:
    nobody_s = surface.authority.issue("nobody-s")
    certificate, token_id = await surface.bound("revoked", "*")
    await surface.surface.tokens.revoke(OPERATOR, token_id)
    for presented in (None, nobody_s, certificate):
        assert set((await surface.statuses(presented)).values()) == {401}
    mallory = Authority(tmp_path / "mallory").issue("revoked")
    with pytest.raises(httpx2.TransportError):
        await surface.statuses(mallory)


async def test_a_page_in_the_operator_s_browser_does_not_use_his_certificate(surface: House) -> None:
    certificate, _ = await surface.bound("browser", "*")
    pages = ({"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"})
    for headers in pages:
        # With a published token the surface has a door, which says 403.
        assert set((await surface.statuses(certificate, **headers)).values()) <= OPEN.keys()
    statuses = await surface.statuses(certificate)
    named = {name for name, scope in surface.scopes.items() if scope.endswith(f":{EXPORT_RIGHT}")}  # not in *
    assert not {401, 403} & {status for name, status in statuses.items() if name not in named}


async def test_a_header_is_no_certificate(surface: House) -> None:
    certificate, _ = await surface.bound("headers", "*")
    pem = certificate.path.read_text().replace("\n", "%0A")
    names = ("X-Client-Cert", "X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert")
    assert set((await surface.statuses(None, **dict.fromkeys(names, pem))).values()) == {401}


async def test_a_token_that_is_said_counts_before_the_certificate(surface: House) -> None:
    certificate, _ = await surface.bound("both", "*")
    assert set((await surface.statuses(certificate, Authorization="Bearer sr_00_00")).values()) == {401}
