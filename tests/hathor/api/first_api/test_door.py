"""Hathor's first API in a real browser: a page of others loads no wallet, and the service's own page may."""

from pathlib import Path

import pytest

from strongroom.core.storage.database import Database, sqlite_url
from support.browser import browse
from support.clock import ManualClock
from support.hathor.api import SIGNED, serving_api
from support.hostile_site import REBOUND, hostile_site, told
from support.serving import serving
from support.sql import execute

pytestmark = pytest.mark.anyio

LOAD = """
const body = JSON.stringify({ xpubkey: "XPUB", firstAddress: "FIRST" });
form("text/plain", "/wallet", { '{"xpubkey":"XPUB","firstAddress":"FIRST","x":"': '"}' });
(async () => {
  for (const type of ["application/json", "text/plain"]) {
    await attempt(type, "/wallet", { method: "POST", body, headers: { "Content-Type": type } });
    await attempt("hidden " + type, "/wallet", { method: "POST", mode: "no-cors", body });
  }
  await attempt("version", "/auth/token", { method: "POST", body: "{}" });
})();
""".replace("XPUB", SIGNED["auth_init_body_mainnet"]["xpubkey"]).replace(
    "FIRST", SIGNED["auth_init_body_mainnet"]["firstAddress"]
)


async def test_a_page_of_others_loads_no_wallet(tmp_path: Path, clock: ManualClock) -> None:
    database = Database(sqlite_url(str(tmp_path / "hathor.sqlite3")))
    try:
        async with serving_api(database, clock) as api, serving(api.application) as url:

            async def wallets() -> int:
                return len(await database.read(lambda c: execute(c, "SELECT id FROM wallet")))

            async with hostile_site(url) as site:
                site.attack(LOAD, url)
                found = told(await browse(site.url, tmp_path / "page"))
                assert found["application/json"][1] == 403
                assert "origin-not-allowed" in str(found["application/json"][2])
                assert found["version"][1] == 400  # the current API answers every page
                site.attack(LOAD, "")
                found = told(await browse(site.rebound_url, tmp_path / "rebound", names=(REBOUND,)))
                assert "host-not-allowed" in str(found["application/json"][2])
                assert await wallets() == 0
                found = told(await browse(site.url.replace("127.0.0.1", "localhost"), tmp_path / "own"))
                assert found["text/plain"][1] == 415
                assert found["application/json"][1] == 200
                assert await wallets() == 1
    finally:
        await database.close()
