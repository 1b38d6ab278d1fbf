"""The variables of webhooks."""

from dataclasses import dataclass, field
from typing import Final

from strongroom.core.environment import Environment
from strongroom.core.http.outbound.targets import Network, Reach, parse_reach_networks

NETWORKS: Final = "STRONGROOM_WEBHOOK_NETWORKS"
HOUR_S: Final = 3_600
DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    reach: Reach = field(default_factory=Reach)
    """Where endpoints may be."""
    keep_s: int = 3 * DAY_S
    """How long delivered events are kept, to be listed and replayed."""


def read_webhook_settings(environment: Environment) -> WebhookSettings:
    names = ",".join(environment.names(NETWORKS))
    networks: tuple[Network, ...] = environment.parsed(
        NETWORKS,
        names,
        lambda text: parse_reach_networks(one for one in text.split(",") if one),
        (),
    )
    allows_http = environment.flag("STRONGROOM_WEBHOOK_HTTP", default=False)
    keep_s = environment.integer("STRONGROOM_WEBHOOK_KEEP_SECONDS", 3 * DAY_S, low=HOUR_S, high=90 * DAY_S)
    return WebhookSettings(reach=Reach(networks=networks, allows_http=allows_http), keep_s=keep_s)
