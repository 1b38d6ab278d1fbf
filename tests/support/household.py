"""One process that serves all three ledgers beside their sandboxes, and a read and a write of each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx2

from strongroom.hathor.protocol.keys import parse_xpub
from support.hathor.wallets import WALLET, XPUB
from support.ports import own_ports
from support.restartable import Program

TOKEN = {"Authorization": "Bearer default-token"}
MESSAGE = "<Bytes>strongroom</Bytes>"
DATABASES = ("attoDatabase", "hathorDatabase", "bittensorDatabase")


class Household(Program):
    """`serve --sandbox` with variables of the test's own, for example for the databases."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        ports = own_ports()
        super().__init__(
            "serve",
            "--sandbox",
            environment={"STRONGROOM_DATA": str(folder), **ports, **(variables or {})},
        )
        self._urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self._count = 0

    async def __aenter__(self) -> Self:
        self.atto = await self.client(self._urls["ATTO_PORT"])
        self.hathor = await self.client(self._urls["HATHOR_PORT"])
        self.bittensor = await self.client(self._urls["BITTENSOR_PORT"])
        self.management = await self.client(self._urls["MANAGEMENT_PORT"])
        await super().__aenter__()
        return self

    async def reads(self) -> dict[str, httpx2.Response]:
        """Something of each that only its database can answer."""
        return {
            "atto": await self.atto.get("/wallets"),
            "hathor": await self.hathor.get("/wallet", params={"id": WALLET}),
            "bittensor": await self.bittensor.get(
                "/wallet/info", params={"wallet_name": "validator"}, headers=TOKEN
            ),
        }

    async def writes(self) -> dict[str, httpx2.Response]:
        """Something of each that its database must store."""
        self._count += 1
        key = parse_xpub(XPUB).child(self._count).encode()
        return {
            "atto": await self.atto.post(f"/wallets/name-{self._count}"),
            "hathor": await self.hathor.post("/wallet", json={"xpubkey": key}),
            "bittensor": await self.bittensor.post(
                "/wallet/sign",
                headers=TOKEN,
                json={"wallet_name": "validator", "hotkey_name": "default", "message": MESSAGE},
            ),
        }

    async def health(self) -> dict[str, Any]:
        document: dict[str, Any] = (await self.management.get("/health")).json()
        return document

    async def databases(self) -> set[str]:
        """What health says of the three databases."""
        components = (await self.health())["components"]
        return {components[name]["status"] for name in DATABASES}


def assert_refused(answers: Mapping[str, httpx2.Response]) -> None:
    """Each in its own words: it is not the caller's fault, and nothing was signed."""
    assert {answer.status_code for answer in answers.values()} == {503}, answers
    atto, hathor, bittensor = (answers[name].json() for name in ("atto", "hathor", "bittensor"))
    assert "nothing was signed" in atto["message"]
    assert atto["code"].startswith("database_")
    assert (hathor["success"], hathor["error"]) == (False, "service-unavailable")
    assert "nothing was signed" in hathor["details"][0]["message"]
    assert "nothing was signed" in bittensor["detail"]
    assert bittensor["submitted"] is False
