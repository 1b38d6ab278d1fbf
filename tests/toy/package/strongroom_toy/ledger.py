"""Assembles the toy ledger."""

from collections.abc import Mapping
from typing import Any

from strongroom.core.http.errors import ErrorAnswers
from strongroom.core.http.listener import Surface
from strongroom.core.intents.resolver import Pace, Resolver
from strongroom.core.intents.signing import Signing
from strongroom.core.ledger.base import LedgerBase
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.ledger.surroundings import Surroundings
from strongroom.core.security.authentication import Gatekeeper
from strongroom_toy.accounts import Accounts
from strongroom_toy.api import create_application
from strongroom_toy.node import ToyNode
from strongroom_toy.payments import PaymentEffects, Payments
from strongroom_toy.settings import SURFACE, ToySettings

NODE_CHECK_S = 5.0
SWEEP_S = 2.0


class ToyLedger(LedgerBase[ToySettings]):
    """One running toy ledger."""

    def __init__(self, definition: AnyLedger, settings: ToySettings, surroundings: Surroundings) -> None:
        super().__init__(definition, settings, surroundings)
        self._errors = ErrorAnswers(definition.name, self.metrics)

    def surfaces(self) -> list[Surface]:
        return [
            Surface(
                name=SURFACE,
                application=self.opening(SURFACE, self._errors.refused_at_door),
                host=self.settings.host,
                port=self.settings.port,
                access=self.settings.access,
                dialect=self._errors.refused_at_door,
            )
        ]

    async def assemble(self) -> None:
        self._node = ToyNode(self.settings.node_url)
        self.stack.push_async_callback(self._node.close)
        self._accounts = Accounts(
            database=self.database,
            vault=self.vault,
            bindings=self.bindings,
            audit=self.audit,
            entropy=self.entropy,
        )
        self._resolver: Resolver[None] = Resolver(
            network=self._node,
            effects=PaymentEffects(),
            database=self.database,
            clock=self.clock,
            entropy=self.entropy,
            background=self.background,
            pace=Pace(noun="payments"),
        )
        self._payments = Payments(
            database=self.database,
            accounts=self._accounts,
            signing=Signing(
                self.definition.name,
                database=self.database,
                gate=self.signing_gate(),
                clock=self.clock,
                metrics=self.metrics,
            ),
            resolver=self._resolver,
            timeout_s=self.settings.request_timeout_s,
        )

    def applications(self) -> Mapping[str, Any]:
        gatekeeper = Gatekeeper(self.token_check, required=self.settings.require_token)
        return {SURFACE: create_application(self._accounts, self._payments, gatekeeper, self._errors)}

    def start_loops(self) -> None:
        loops, payments = self.loops, self.component("Payments")
        loops.start(loops.every(self.component("Node"), NODE_CHECK_S, self._node.check, down_after=1))
        loops.check(payments, self._resolver.check, part="open")
        self.under("workers", [loops.every(payments, SWEEP_S, self._resolver.sweep, part="sweep")])

    def finish_waits(self) -> None:
        self._payments.end_waits()
