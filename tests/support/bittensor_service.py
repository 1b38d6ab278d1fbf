"""The Bittensor ledger as `strongroom serve` runs it, in the test's own process, and a client of its API."""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy.engine import URL

from strongroom.bittensor.authorization.limits import TokenLimits, encode_limits
from strongroom.bittensor.definition import LEDGER, REVISIONS
from strongroom.bittensor.keystore.names import coldkey, hotkey
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.ledger import BittensorLedger
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.clock import Clock, SystemClock, SystemEntropy
from strongroom.core.http.listener import behind_door
from strongroom.core.ledger.surroundings import Surroundings
from strongroom.core.runtime.telemetry import Health, Metrics
from strongroom.core.security.access import OPERATOR
from strongroom.core.storage.cluster.waiting import waits
from strongroom.settings import read_settings
from support.schema import shared_schemas
from support.serving import Serve, serving
from support.unslowed import UNSLOWED
from support.waiting import PATIENCE_S

WALLET = "validator"
HOTKEY = "default"
COLD = Keypair.from_uri("//Strongroom//cold")
HOT = Keypair.from_uri("//Strongroom//hot")
_names = count(1)
EVERYTHING = ("bittensor:*",)

_KEY_FILES = json.loads((Path(__file__).parents[1] / "vectors" / "bittensor" / "keyfiles.json").read_text())[
    "wallets"
]
VECTORS: dict[str, dict[str, Any]] = {wallet["name"]: wallet for wallet in _KEY_FILES}


class BittensorService:
    """A running service with the wallet `validator` in its vault. Calls have WALLET_SERVICE_TOKEN unless the test passes another."""

    def __init__(
        self, ledger: BittensorLedger, client: httpx2.AsyncClient, health: Health, metrics: Metrics
    ) -> None:
        self.ledger = ledger
        self.client = client
        self.health = health
        self.metrics = metrics
        self.application: Any = None
        """What answers, where this process serves it."""

    async def token(self, scopes: tuple[str, ...] = EVERYTHING, **limits: Any) -> dict[str, str]:
        """Headers with a new token."""
        new = await self.ledger.tokens.create(
            OPERATOR, f"test-{next(_names)}", scopes, limits=encode_limits(TokenLimits(**limits))
        )
        return bearer(new.secret)

    async def sign(
        self, message: str, headers: Mapping[str, str] | None = None, **more: str
    ) -> httpx2.Response:
        body = {"wallet_name": WALLET, "hotkey_name": HOTKEY, "message": message} | more
        return await self.client.post("/wallet/sign", json=body, headers=headers)

    async def verify(self, message: str, signature: str, **more: str) -> httpx2.Response:
        body = {"wallet_name": WALLET, "message": message, "signature": signature} | more
        return await self.client.post("/wallet/verify", json=body)

    async def info(self, wallet: str = WALLET, **more: str) -> httpx2.Response:
        return await self.client.get("/wallet/info", params={"wallet_name": wallet} | more)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def database_variables(url: URL, data: Path) -> dict[str, str]:
    variables = {"STRONGROOM_DATA": str(data)}
    if url.get_backend_name() != "sqlite":
        variables |= {
            "BITTENSOR_DB_HOST": str(url.host),
            "BITTENSOR_DB_PORT": str(url.port),
            "BITTENSOR_DB_NAME": str(url.database),
            "BITTENSOR_DB_USER": str(url.username),
            "BITTENSOR_DB_PASSWORD": str(url.password),
            "STRONGROOM_WAIT_FOR_NODES": str(waits(url)),
        }
    return variables


@asynccontextmanager
async def running_bittensor(
    variables: Mapping[str, str], serve: Serve = serving, clock: Clock | None = None
) -> AsyncIterator[BittensorService]:
    settings = read_settings({"network": "local"} | dict(variables), ("bittensor",)).of(LEDGER)
    assert settings is not None
    shared_schemas().fill_new(settings.database, [REVISIONS])
    health, metrics = Health(), Metrics("test")
    surroundings = Surroundings(
        clock=clock or SystemClock(),
        entropy=SystemEntropy(),
        health=health,
        metrics=metrics,
        free_attempts=UNSLOWED,
    )
    ledger = LEDGER.make(settings, surroundings)
    token = settings.service_token.reveal() if settings.service_token else ""
    try:
        (surface,) = ledger.surfaces()
        await ledger.open()
        ledger.start()
        async with (
            serve(behind_door(surface)) as url,
            httpx2.AsyncClient(
                base_url=url,
                headers=bearer(token) if token else {},
                trust_env=False,
                verify=False,
                timeout=PATIENCE_S,
            ) as client,
        ):
            service = BittensorService(ledger, client, health, metrics)
            service.application = surface.application
            yield service
    finally:
        await ledger.close()


async def import_validator(service: BittensorService) -> None:
    """The wallet `validator` with its coldkey and the hotkey `default`."""
    keys = [
        NewKey(key=coldkey(WALLET), public_key=COLD.public_key, keypair=COLD),
        NewKey(key=hotkey(WALLET, HOTKEY), public_key=HOT.public_key, keypair=HOT),
    ]
    await service.ledger.wallets.import_(OPERATOR, keys)


def write_wallet(folder: Path, vector: str, wallet: str, **files: str) -> dict[str, Any]:
    """Lays out a wallet of the key file vectors; `files` are its files and where they go in the wallet."""
    found = VECTORS[vector]
    for name, target in (files or {name: name for name in found["files"]}).items():
        path = folder / wallet / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(found["files"][name]["base64"]))
    return found
