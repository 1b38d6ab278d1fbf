"""Pictures of the console with what a sandbox has after its first minutes.

`STRONGROOM_PICTURES=docs/images scripts/test-slow tests/judges/console/test_pictures.py` makes those of the README and of
docs/console.md anew.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from playwright.async_api import Browser

from support.ports import own_ports
from support.processes import strongroom
from support.real_browser import running_browser, screen
from support.waiting import until_true

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
ROOT: Final = Path(__file__).parents[3]
LARGEST: Final = 120_000
ATTO: Final = 1_000_000_000
WEIGHTS: Final = {
    "wallet_name": "validator",
    "transaction_data": {
        "netuid": 2,
        "uids": [1, 2, 3],
        "weights": [100, 200, 300],
        "version_key": 1,
        "wait_for_inclusion": True,
    },
}
PICTURES: Final[tuple[tuple[str, str, int, int, str], ...]] = (
    ("overview", "/", 1280, 720, "light"),
    ("payments", "/payments", 1280, 640, "light"),
    ("payment", "", 1280, 600, "light"),
    ("phone", "/payments", 360, 740, "dark"),
)
"""The name, the path (empty: the newest payment's), width and height in pixels, the theme."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    wanted = os.environ.get("STRONGROOM_PICTURES")
    folder = tmp_path / "pictures" if wanted is None else ROOT / wanted
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[dict[str, str]]:
    variables = {"STRONGROOM_DATA": str(tmp_path / "data"), **own_ports()}
    with strongroom("serve", "--sandbox", environment=variables) as process:
        process.wait_ready()
        yield variables


async def test_four_pictures(sandbox: dict[str, str], folder: Path) -> None:
    await pay(sandbox)
    create = ("token", "create", "ann", "--scope", "admin", "--ledger", "all")
    with strongroom(*create, environment=sandbox) as made:
        assert made.wait_end() == 0, made.logs()
        token = made.stdout[-1]
    base = f"http://127.0.0.1:{sandbox['CONSOLE_PORT']}"
    async with running_browser() as browser:
        for name, path, width, height, theme in PICTURES:
            picture = folder / f"{name}.png"
            await take(browser, base, token, path, picture, (width, height, theme))
            assert picture.stat().st_size < LARGEST, name


async def take(
    browser: Browser, base: str, token: str, path: str, picture: Path, size: tuple[int, int, Any]
) -> None:
    width, height, theme = size
    shown = await screen(browser, width=width, height=height, theme=theme)
    await shown.page.goto(base)
    await shown.page.get_by_label("API token").fill(token)
    await shown.page.get_by_role("button", name="Sign in").click()
    await shown.page.wait_for_url(f"{base}/")
    await shown.page.goto(f"{base}{path or '/payments'}")
    if not path:
        await shown.page.locator("tr", has_text="SEND").get_by_role("link").first.click()
    await shown.page.wait_for_load_state("load")
    await shown.page.screenshot(path=picture)
    assert shown.complaints == []


async def pay(variables: dict[str, str]) -> None:
    """Three payments of Atto and a set of weights."""
    url = f"http://127.0.0.1:{variables['ATTO_PORT']}"
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
        await client.post("/wallets/shop")
        source, target = [(await client.post("/wallets/shop/accounts")).json()["address"] for _ in range(2)]
        faucet = f"http://127.0.0.1:{variables['SANDBOX_ATTO_NODE_PORT']}/_faucet"
        await client.post(faucet, json={"address": source, "amount": 500 * ATTO})

        async def is_open() -> bool:
            return (await client.get(f"/wallets/accounts/{source}/details")).status_code == 200

        await until_true(is_open)
        for amount in (12, 250, 7):
            sent = await client.post(
                f"/wallets/accounts/{source}/transactions/SEND",
                json={"receiverAddress": target, "amount": amount * ATTO},
            )
            assert sent.status_code == 200, sent.text
        weights = f"http://127.0.0.1:{variables['BITTENSOR_PORT']}/wallet/set_weights"
        done = await client.post(weights, json=WEIGHTS, headers={"Authorization": "Bearer default-token"})
        assert done.json()["success"] is True, done.text
