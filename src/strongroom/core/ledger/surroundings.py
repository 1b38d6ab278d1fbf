"""What the process provides to each ledger."""

from dataclasses import dataclass, field

from strongroom.core.clock import Clock, Entropy
from strongroom.core.environment import Secret
from strongroom.core.guard.settings import GuardSettings
from strongroom.core.runtime.telemetry import Health, Metrics
from strongroom.core.security.attempts import FREE
from strongroom.core.transparency.settings import CheckpointSettings
from strongroom.core.webhooks.settings import WebhookSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    clock: Clock
    entropy: Entropy
    health: Health
    metrics: Metrics
    guard: GuardSettings = field(default_factory=GuardSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    free_attempts: int = FREE
    """So many failed authentications in a row slow nobody down."""
    checkpoints: CheckpointSettings = field(default_factory=CheckpointSettings)
    redis: Secret | None = None
    """The URL of the Redis in which processes count together; None: they do it in each ledger's database."""
