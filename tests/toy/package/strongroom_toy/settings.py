"""The toy ledger's variables."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from strongroom.core.environment import Environment
from strongroom.core.http.exposure import Access, Exposure
from strongroom.core.security.keys.source import KeySource, read_key_source
from strongroom.core.storage.database import sqlite_url

SURFACE = "toy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToySettings:
    node_url: str
    host: str
    port: int
    require_token: bool
    request_timeout_s: int
    """How long a payment waits for its outcome."""
    database: URL
    key: KeySource
    short_credentials: tuple[str, ...] = ()

    @property
    def access(self) -> Access:
        """Without tokens whoever reaches the surface may pay, so Strongroom lets no web page and no network in."""
        return Access.TOKEN if self.require_token else Access.REACH

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        remedy = "require tokens (TOY_REQUIRE_TOKEN=true)"
        return (Exposure(name=SURFACE, host=self.host, access=self.access, remedy=remedy),)


def read_toy_settings(environment: Environment, data: Path, host: str) -> ToySettings:
    """Reads every variable; mistakes are collected in `environment`."""
    node_url = environment.base_url("TOY_NODE_URL")
    if node_url is None:
        environment.mistake("TOY_NODE_URL is required: the base URL of a toy node")
    return ToySettings(
        node_url=node_url or "",
        host=host,
        port=environment.port("TOY_PORT", 8090),
        require_token=environment.flag("TOY_REQUIRE_TOKEN", default=False),
        request_timeout_s=environment.integer("TOY_REQUEST_TIMEOUT_S", 30, low=1, high=600),
        database=sqlite_url(str(data / "toy.sqlite3")),
        key=read_key_source(
            environment, ledger="toy", variable="TOY_KEY_ENCRYPTION_KEY", file=data / "toy.kek"
        ),
    )
