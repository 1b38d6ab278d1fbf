"""Makes what tells the outside of a ledger's events, and the loops that deliver them."""

from functools import partial
from typing import Final

from strongroom.core.clock import Clock, Entropy
from strongroom.core.coordination.lease import Leases
from strongroom.core.coordination.loops import Loops
from strongroom.core.intents.announcing import PaymentEvents
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.audit import Audit
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.storage.database import Database
from strongroom.core.webhooks.administration import WebhookAdministration
from strongroom.core.webhooks.announcer import WebhookAnnouncer
from strongroom.core.webhooks.audited import AuditedEvents
from strongroom.core.webhooks.dispatcher import WebhookDispatcher
from strongroom.core.webhooks.kinds import EVERY_LEDGER, Catalogue
from strongroom.core.webhooks.sealing import EndpointSealing
from strongroom.core.webhooks.sender import Senders
from strongroom.core.webhooks.settings import WebhookSettings
from strongroom.core.webhooks.watch import LOOK_S, WebhookWatch

PURGE_S: Final = 3600.0


class LedgerWebhooks:
    """The webhooks of one ledger."""

    def __init__(
        self,
        definition: AnyLedger,
        settings: WebhookSettings,
        *,
        database: Database,
        audit: Audit,
        key: TrailKey,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._ledger = definition.name
        self._database = database
        self._clock = clock
        self._keep_ms = settings.keep_s * 1000
        self.announcer = WebhookAnnouncer(definition.name, clock, entropy)
        self.payment_events = PaymentEvents(definition.name, definition.network_id, self.announcer)
        audit.hear(AuditedEvents(self.announcer))
        sealing = EndpointSealing(key, entropy)
        senders = Senders(reach=settings.reach, clock=clock)
        self.administration = WebhookAdministration(
            Catalogue(ledger=definition.name, kinds={**EVERY_LEDGER, **definition.events()}),
            database,
            audit=audit,
            sealing=sealing,
            senders=senders,
            clock=clock,
            entropy=entropy,
        )
        self._dispatcher = WebhookDispatcher(
            database,
            announcer=self.announcer,
            sealing=sealing,
            senders=senders,
            audit=audit,
            clock=clock,
            entropy=entropy,
        )

    def start(self, loops: Loops, leases: Leases, metrics: Metrics) -> None:
        """One process delivers; each shows how it goes."""
        name = f"{self._ledger}Webhooks"
        watch = WebhookWatch(
            self._ledger,
            self._database,
            clock=self._clock,
            metrics=metrics,
            troubles=self._dispatcher.troubles,
        )
        loops.check(name, watch.check, part="endpoints")
        loops.start(loops.collect(name, "webhooks", watch.look, every_s=LOOK_S))
        forget = partial(self._dispatcher.forget_delivered, self._keep_ms)
        loops.under(
            leases,
            f"{self._ledger}.webhooks",
            [
                loops.run(name, self._dispatcher.run, part="delivery"),
                loops.every(name, PURGE_S, forget, part="purge"),
            ],
        )
