"""With the published token reaching the service is the permission: no web page may sign with a key that lies there."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bittensor.conftest import Start
from support.bittensor_service import HOTKEY, WALLET, BittensorService, bearer, import_validator
from support.browser import browse
from support.hostile_site import REBOUND, hostile_site, told

pytestmark = pytest.mark.anyio

SIGN = """
(async () => {
  const body = JSON.stringify({ wallet_name: "WALLET", hotkey_name: "HOTKEY", message: "1763729464123" });
  const headers = { "Content-Type": "application/json", Authorization: "Bearer default-token" };
  await attempt("sign", "/wallet/sign", { method: "POST", body, headers });
  await attempt("info", "/wallet/info?wallet_name=WALLET", { headers });
})();
""".replace("WALLET", WALLET).replace("HOTKEY", HOTKEY)


async def test_a_page_whose_name_leads_here_signs_nothing(service: BittensorService, tmp_path: Path) -> None:
    """It knows the token, as everybody does; under the service's own name the same page may."""
    async with hostile_site(str(service.client.base_url)) as site:
        site.attack(SIGN, "")
        found = told(await browse(site.rebound_url, tmp_path / "rebound", names=(REBOUND,)))
        for attempt in ("sign", "info"):
            kind, status, body = found[attempt]
            assert (kind, status) == ("basic", 403)
            assert '"code":"host_not_allowed"' in str(body)
        own = site.url.replace("127.0.0.1", "localhost")
        found = told(await browse(own, tmp_path / "own"))
        assert [outcome[:2] for outcome in found.values()] == [["basic", 200]] * 2


async def test_a_page_elsewhere_is_refused_with_the_published_token_only(start: Start) -> None:
    page = {
        "Origin": "https://elsewhere.example",
        "Sec-Fetch-Site": "cross-site",
        "Host": "elsewhere.example",
    }
    asked = {"wallet_name": WALLET}
    async with start() as service:
        await import_validator(service)
        for headers in (page, page | {"Host": urlsplit(str(service.client.base_url)).netloc}):
            answer = await service.client.get("/wallet/info", params=asked, headers=headers)
            assert answer.status_code == 403
            assert answer.json().keys() == {"detail", "code"}
    own = "a token of the operator's own, and long"
    async with start(WALLET_SERVICE_TOKEN=own) as service:
        answer = await service.client.get("/wallet/info", params=asked, headers=page | bearer(own))
        assert answer.status_code == 200
