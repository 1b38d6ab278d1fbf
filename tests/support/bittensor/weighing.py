"""Setting weights through the API, and waiting for what becomes of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from strongroom.core.clock import SystemClock
from strongroom_sandbox.bittensor.pallets.shared.view import View
from strongroom_sandbox.bittensor.pallets.weights.commit_reveal import is_in_window
from support.bittensor.live_node import NETUID, LiveNode
from support.bittensor_service import HOTKEY, WALLET, BittensorService, import_validator, running_bittensor
from support.waiting import PATIENCE_S, eventually

UIDS, VALUES = [0, 1, 2], [100, 200, 300]
UPSCALED = [(0, 21845), (1, 43690), (2, 65535)]
OTHERS = [bytes([number]) * 32 for number in (1, 2, 3)]


HURRY = 8


class Hurried(SystemClock):
    """Time goes eight times as fast, for the service alone."""

    def __init__(self) -> None:
        self._start_ms = super().now_ms()

    def now_ms(self) -> int:
        return self._start_ms + (super().now_ms() - self._start_ms) * HURRY

    def monotonic_s(self) -> float:
        return super().monotonic_s() * HURRY

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / HURRY)


@asynccontextmanager
async def weighing_service(node: LiveNode, folder: Path) -> AsyncIterator[BittensorService]:
    """A hurried service of this node, with the wallet `validator` in its vault."""
    variables = {"STRONGROOM_DATA": str(folder), "chain_endpoint": node.url}
    async with running_bittensor(variables, clock=Hurried()) as service:
        await import_validator(service)
        yield service


def body(**more: Any) -> dict[str, Any]:
    data = {"netuid": NETUID, "uids": UIDS, "weights": VALUES, "version_key": 1} | more
    return {"wallet_name": WALLET, "hotkey_name": HOTKEY, "transaction_data": data}


def set_weights(
    service: BittensorService, headers: dict[str, str] | None = None, **more: Any
) -> asyncio.Task[httpx2.Response]:
    return asyncio.create_task(service.client.post("/wallet/set_weights", json=body(**more), headers=headers))


async def pooled(node: LiveNode, count: int = 1) -> None:
    await eventually(lambda: len(node.node.pool.waiting) == count)


async def revealed(node: LiveNode, hotkey: bytes, uid: int = 0) -> list[tuple[int, int]]:
    """The weights that the hotkey committed, once they are open. No block of the window goes by before the reveal is there."""
    for _ in range(40):
        if weights := node.weights(uid):
            return weights
        view = View(node.node.chain.storage)
        commits = view.get("WeightCommits", NETUID, hotkey) or []
        if any(is_in_window(view, NETUID, commit) for commit in commits):
            await pooled(node)
        node.produce()
    return node.weights(uid)


async def reaches(service: BittensorService, job: str, status: str) -> dict[str, Any]:
    """The job once it has this status."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found: dict[str, Any] = (await service.client.get(f"/wallet/jobs/{job}")).json()
            if found.get("status") == status:
                return found
            await asyncio.sleep(0.05)


async def settled(service: BittensorService, job: str) -> dict[str, Any]:
    """The job once it has a result."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found: dict[str, Any] = (await service.client.get(f"/wallet/jobs/{job}")).json()
            if found.get("result") is not None:
                return found
            await asyncio.sleep(0.05)
