"""The surface for wallets over a test's database, and a client of it, all in the test's loop."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2
from coincurve import PrivateKey
from sqlalchemy import Connection

from strongroom.core.clock import SystemEntropy
from strongroom.core.coordination.rate_limiter import RateLimiter
from strongroom.core.environment import Secret
from strongroom.core.guard.approvals.administration import ApprovalAdministration
from strongroom.core.guard.approvals.carrying_out import CarryingOut
from strongroom.core.guard.approvals.parking import ParkedRequests
from strongroom.core.guard.approvals.withdrawal import Withdrawals
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.http.door import DoorRules
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.http.timing import TimedApplication
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.attempts import Attempts
from strongroom.core.security.audit import Audit
from strongroom.core.security.authentication import Gatekeeper, TokenCheck
from strongroom.core.security.policy import SigningGate
from strongroom.core.security.rows.tokens import TokenRows
from strongroom.core.security.tokens import Tokens as ApiTokens
from strongroom.core.security.upkeep.token_uses import TokenUses
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from strongroom.hathor import tables
from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.api.admission import Admission, Clients
from strongroom.hathor.api.application import FirstApi, Services, create_application
from strongroom.hathor.api.first_api.access import LegacyAccess
from strongroom.hathor.api.first_api.proposals import LegacyProposals
from strongroom.hathor.api.first_api.wallets import LegacyWallets
from strongroom.hathor.api.network.node import NodeView
from strongroom.hathor.api.network.operations import OperationRules, Operations
from strongroom.hathor.api.wallets.registration import Registration, RegistrationRules
from strongroom.hathor.api.wallets.wallet import CLOCK_SKEW_S
from strongroom.hathor.definition import REVISIONS
from strongroom.hathor.gateway.network_rules import Versions
from strongroom.hathor.gateway.node import HttpNode
from strongroom.hathor.index.supply import Supplies
from strongroom.hathor.notifications.devices import Devices
from strongroom.hathor.proposals.approved import ApprovedBroadcasts
from strongroom.hathor.proposals.broadcast_policy import BroadcastPolicy
from strongroom.hathor.proposals.broadcaster import PACE, Broadcaster, ProposalEffects, TransactionNetwork
from strongroom.hathor.proposals.service import Proposals
from strongroom.hathor.proposals.submitter import Submitter
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.protocol.hashes import base58check_encode, hash160
from strongroom.hathor.protocol.messages import authentication_message, sign_message
from strongroom.hathor.scopes import SCOPES
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.jwt import Tokens
from strongroom.hathor.wallets.loading import WalletLoader
from support.clock import ManualClock, SeededEntropy
from support.hathor.push_node import ScriptedNode
from support.trail import open_trail
from support.unslowed import UNSLOWED

VECTORS = Path(__file__).parents[2] / "vectors" / "hathor"
SIGNED: dict[str, Any] = json.loads((VECTORS / "vectors.json").read_text())
NOWHERE = "http://127.0.0.1:9/v1a/"
"""No node: nothing listens there."""
NO_PROXIES = TrustedProxies()
HEALTH_KEY = "the key of the health route"
STRANGER = b"\x07" * 32
APPROVAL_S = 86_400
WALLET_ID: str = SIGNED["wallet"]["wallet_id"]
RULES = RegistrationRules(network=MAINNET, max_gap=10, max_retries=5, confirm_first_address=True)
LOADED = (
    "token",
    "wallet",
    "address",
    "tx_output",
    "address_balance",
    "wallet_balance",
    "wallet_tx_history",
    "transaction",
    "miner",
)


class Api:
    """A running surface: `client` for requests, `tokens` to make any caller."""

    def __init__(
        self,
        database: Database,
        clock: ManualClock,
        *,
        secrets: tuple[str, ...] = ("foobar",),
        burst: int = 1000,
        node_url: str = NOWHERE,
        node_timeout_s: float = 10.0,
        verify_proposals: bool = True,
        proxies: TrustedProxies = NO_PROXIES,
        amounts: AmountForm = AmountForm.NUMBER,
        legacy_needs_token: bool = False,
        redis_answers: Callable[[], bool] | None = None,
        clock_skew_s: int = CLOCK_SKEW_S,
    ) -> None:
        self.clock = clock
        self.database = database
        self.tokens = Tokens([Secret(secret) for secret in secrets], clock, SeededEntropy())
        reader = self.reader = WalletReader(database, clock, MAINNET)
        self._proxies = proxies
        self.metrics = Metrics("test")
        self.attempts = Attempts("hathor", clock, SeededEntropy(), self.metrics, free=UNSLOWED)
        clients = Clients(RateLimiter(clock), proxies, burst=burst)
        self.loader = WalletLoader(database, clock, MAINNET, Background())
        self.node = HttpNode(node_url, clock, self.metrics, timeout_s=node_timeout_s)
        self.versions = Versions(database, self.node, clock)
        rules = OperationRules(
            network="mainnet", stage="local", health_key=Secret(HEALTH_KEY), max_blocks_behind=5
        )
        self.submitter = self._submitter(verify=verify_proposals)
        services = Services(
            database=database,
            registration=Registration(
                database=database,
                clock=clock,
                tokens=self.tokens,
                loader=self.loader,
                rules=replace(RULES, clock_skew_s=clock_skew_s),
            ),
            devices=Devices(reader),
            proposals=Proposals(reader, self.versions, SystemEntropy(), self._withdrawals),
            submitter=self.submitter,
            supplies=Supplies(database, clock, MAINNET),
            node_view=NodeView(node=self.node, versions=self.versions, clock=clock),
            operations=Operations(database, self.node, clock, rules, redis_answers),
            first_api=self._first_api(),
        )
        application: Any = create_application(
            services,
            Admission(
                reader,
                self.tokens,
                clients,
                self.attempts,
                self._legacy_access(needs_token=legacy_needs_token),
            ),
            self.metrics,
            prefix="dev",
            amounts=amounts,
        )
        timed: Any = TimedApplication(application, self.metrics, ledger="hathor")
        self.application = timed
        self.client = httpx2.AsyncClient(
            verify=False, transport=httpx2.ASGITransport(app=timed), base_url="http://wallets"
        )

    def _submitter(self, *, verify: bool) -> Submitter:
        self.push_node = ScriptedNode()
        self.guard = Guard(self.clock, Default.ALLOW, key=open_trail())
        self.background = Background()
        self.broadcaster = Broadcaster(
            network=TransactionNetwork(self.push_node, self.clock),
            effects=ProposalEffects(self.clock, self.metrics),
            database=self.database,
            clock=self.clock,
            entropy=SeededEntropy(),
            background=self.background,
            pace=PACE,
        )
        return Submitter(
            database=self.database,
            broadcaster=self.broadcaster,
            versions=self.versions,
            clock=self.clock,
            network=MAINNET,
            verify=verify,
            policy=BroadcastPolicy(
                SigningGate(self.guard, Audit(self.clock, open_trail()), self._parked()), MAINNET
            ),
        )

    @property
    def _withdrawals(self) -> Withdrawals:
        return Withdrawals("hathor", Audit(self.clock, open_trail()), self.clock)

    def _parked(self) -> ParkedRequests:
        audit = Audit(self.clock, open_trail())
        self.approvals = ApprovalAdministration(self.database, audit, self.clock, ledger="hathor")
        return ParkedRequests(audit, self.clock, SeededEntropy(), lifetime_ms=APPROVAL_S * 1000)

    @cached_property
    def carrying_out(self) -> CarryingOut:
        """What the process that does the work runs."""
        return CarryingOut(
            "hathor",
            ApprovedBroadcasts(self.submitter),
            database=self.database,
            audit=Audit(self.clock, open_trail()),
            clock=self.clock,
        )

    def _legacy_access(self, *, needs_token: bool) -> LegacyAccess:
        audit = Audit(self.clock, open_trail())
        self.api_tokens = ApiTokens(
            self.database, audit, self.clock, SeededEntropy(), scopes=[*SCOPES, "hathor:*", "*"]
        )
        uses = TokenUses(self.database, audit, self.clock)
        check = TokenCheck(self.database, self.clock, uses, RateLimiter(self.clock), TokenRows(open_trail()))
        gatekeeper = Gatekeeper(check, required=needs_token)
        return LegacyAccess(self.attempts.around(gatekeeper), self._proxies, DoorRules(bound_to="127.0.0.1"))

    def _first_api(self) -> FirstApi:
        return FirstApi(
            wallets=LegacyWallets(database=self.database, clock=self.clock, loader=self.loader, rules=RULES),
            proposals=LegacyProposals(
                proposals=Proposals(self.reader, self.versions, SystemEntropy(), self._withdrawals),
                entropy=SystemEntropy(),
                network=MAINNET,
                submitter=self.submitter,
                versions=self.versions,
            ),
        )

    def full(self) -> dict[str, str]:
        """The recorded wallet's full token, as a header."""
        signed = SIGNED["signed_messages"]
        token = self.tokens.issue_full(
            signature=signed["sig_auth_mainnet"]["signature"],
            timestamp_s=signed["timestamp"],
            address=signed["sig_auth_mainnet"]["address"],
            wallet_id=WALLET_ID,
        )
        return {"Authorization": f"Bearer {token}"}

    def stranger(self) -> dict[str, str]:
        """A full token of a wallet that is not there."""
        wallet_id = "0" * 64
        address = base58check_encode(b"\x28" + hash160(PrivateKey(STRANGER).public_key.format()))
        signature = sign_message(authentication_message(1_700_000_000, wallet_id, address), STRANGER)
        token = self.tokens.issue_full(
            signature=signature, timestamp_s=1_700_000_000, address=address, wallet_id=wallet_id
        )
        return {"Authorization": f"Bearer {token}"}

    def read_only(self, wallet_id: str = WALLET_ID) -> dict[str, str]:
        address = SIGNED["signed_messages"]["sig_auth_mainnet"]["address"]
        token = self.tokens.issue_read_only(wallet_id=wallet_id, auth_address=address)
        return {"Authorization": f"Bearer {token}"}

    async def close(self) -> None:
        await self.client.aclose()
        await self.background.close()
        await self.node.close()

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        response = await self.client.get(path, params=query, headers=self.full())
        return response.status_code, response.json()


@asynccontextmanager
async def serving_api(
    database: Database,
    clock: ManualClock,
    *,
    rows: Mapping[str, list[dict[str, Any]]] | None = None,
    secrets: tuple[str, ...] = ("foobar",),
    burst: int = 1000,
    node_url: str = NOWHERE,
    node_timeout_s: float = 10.0,
    verify_proposals: bool = True,
    proxies: TrustedProxies = NO_PROXIES,
    amounts: AmountForm = AmountForm.NUMBER,
    legacy_needs_token: bool = False,
    redis_answers: Callable[[], bool] | None = None,
    clock_skew_s: int = CLOCK_SKEW_S,
) -> AsyncGenerator[Api]:
    await migrate(database, [REVISIONS])
    if rows:
        await database.write(lambda connection: _load(connection, rows))
    api = Api(
        database,
        clock,
        secrets=secrets,
        burst=burst,
        node_url=node_url,
        node_timeout_s=node_timeout_s,
        verify_proposals=verify_proposals,
        proxies=proxies,
        amounts=amounts,
        legacy_needs_token=legacy_needs_token,
        redis_answers=redis_answers,
        clock_skew_s=clock_skew_s,
    )
    try:
        yield api
    finally:
        await api.close()


def recorded_rows() -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = json.loads((VECTORS / "reference_rows.json").read_text())
    return rows


def recorded_node() -> dict[str, Any]:
    """What the node behind the recorded answers said, from `GET /v1a/<path>` to a body."""
    node: dict[str, Any] = json.loads((VECTORS / "reference_rows.json").read_text())["node"]
    return node


def recorded_answers(session: str = "responses") -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = json.loads((VECTORS / f"reference_{session}.json").read_text())
    return answers


def _load(connection: Connection, rows: Mapping[str, list[dict[str, Any]]]) -> None:
    connection.execute(tables.token.delete())  # the native one is there from the first migration
    for name in LOADED:
        for row in rows[name]:
            connection.execute(tables.metadata.tables[name].insert(), row)
