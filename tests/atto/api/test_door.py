"""No web page moves money: hostile pages in a real browser, and the same requests in bytes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, assert_refused, running_service
from support.browser import browse
from support.hostile_site import REBOUND, HostileSite, hostile_site, told

pytestmark = pytest.mark.anyio

BALANCE = 1000
FORMS = """
for (const kind of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
  form(kind, SEND, { '{"receiverAddress":"NOBODY","amount":"1","x":"': '"}' });
  form(kind, SEND, { receiverAddress: "NOBODY", amount: "1" });
  form(kind, "/wallets/form-" + kind.length, { a: "b" });
  form(kind, ACCOUNT + "/states/DISABLED", {});
}
"""
FETCHES = """
const send = JSON.stringify({ receiverAddress: "NOBODY", amount: "1" });
(async () => {
  for (const mode of ["cors", "no-cors"]) {
    await attempt(mode + " text", SEND, { method: "POST", mode, body: send });
    await attempt(mode + " untyped", SEND, { method: "POST", mode, body: new Blob([send]) });
    await attempt(mode + " json", SEND, { method: "POST", mode, body: send, headers: { "Content-Type": "application/json" } });
    await attempt(mode + " create", "/wallets/fetched-" + mode, { method: "POST", mode });
    await attempt(mode + " disable", ACCOUNT + "/states/DISABLED", { method: "POST", mode });
    await attempt(mode + " list", "/wallets", { mode });
  }
  await attempt("put", "/wallets/fetched", { method: "PUT", body: "{}", headers: { "Content-Type": "application/json" } });
  navigator.sendBeacon(target + SEND, send);
  navigator.sendBeacon(target + "/wallets/beacon");
  const script = document.createElement("script");
  script.src = target + "/wallets";
  document.body.append(script);
})();
"""


@pytest.fixture
async def service(network: AttoNetwork, tmp_path: Path) -> AsyncIterator[AttoService]:
    async with running_service(network, {"STRONGROOM_DATA": str(tmp_path)}) as service:
        yield service


@pytest.fixture
async def account(service: AttoService, network: AttoNetwork) -> str:
    """Has money, in the only wallet."""
    return await service.open_account(network, BALANCE, await service.create_wallet("savings"))


@pytest.fixture
async def site(service: AttoService) -> AsyncIterator[HostileSite]:
    async with hostile_site(base_url(service)) as site:
        yield site


def base_url(service: AttoService) -> str:
    return str(service.client.base_url).rstrip("/")


def aimed(script: str, account: str) -> str:
    path = f"/wallets/accounts/{account}"
    names = {"NOBODY": NOBODY, "SEND": f'"{path}/transactions/SEND"', "ACCOUNT": f'"{path}"'}
    for name, value in names.items():
        script = script.replace(name, value)
    return script


def refusals(service: AttoService, code: str) -> int:
    value = service.metrics.registry.get_sample_value(
        "strongroom_refusals_total", {"ledger": "atto", "code": code}
    )
    return int(value or 0)


async def assert_untouched(service: AttoService, account: str) -> None:
    assert [one["name"] for one in await service.get("/wallets")] == ["savings"]
    assert (await service.get(f"/wallets/accounts/{account}"))["disabledAt"] is None
    details = await service.details(account)
    assert details is not None
    assert (details["balance"], details["height"]) == (BALANCE, 1)
    assert (await service.send(account, NOBODY, 1)).status_code == 200  # its own money moves still


async def test_a_form_on_another_page_moves_nothing(
    service: AttoService, account: str, site: HostileSite, tmp_path: Path
) -> None:
    site.attack(aimed(FORMS, account), base_url(service))
    await browse(site.url, tmp_path)
    assert refusals(service, "origin_not_allowed") == 12  # every form came to the door
    await assert_untouched(service, account)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_a_fetch_from_a_page_on_another_port_moves_and_reads_nothing(
    service: AttoService, account: str, site: HostileSite, tmp_path: Path, name: str
) -> None:
    """Whether the browser takes the two for one site, as it takes two ports, or for two."""
    site.attack(aimed(FETCHES, account), base_url(service).replace("127.0.0.1", name))
    found = told(await browse(site.url, tmp_path))
    assert len(found) == 13
    for attempt, outcome in found.items():
        assert outcome in (["opaque", 0, ""], ["TypeError: Failed to fetch"]), attempt
    assert refusals(service, "origin_not_allowed") + refusals(service, "cross_site") >= 12
    await assert_untouched(service, account)


async def test_a_name_that_resolves_to_this_machine_opens_nothing(
    service: AttoService, account: str, site: HostileSite, tmp_path: Path
) -> None:
    """For the browser the page and the service are one origin, so the page may send and read as it likes."""
    site.attack(aimed(FETCHES, account), "")
    found = told(await browse(site.rebound_url, tmp_path, names=(REBOUND,)))
    assert len(found) == 13
    for attempt, (kind, status, body) in found.items():
        assert (kind, status) == ("basic", 403), attempt
        assert '"code":"host_not_allowed"' in str(body)
    await assert_untouched(service, account)


async def test_the_rebound_name_shows_neither_wallets_nor_the_page(
    service: AttoService, account: str, site: HostileSite, tmp_path: Path
) -> None:
    for path in ("/wallets", "/", "/v3/api-docs"):
        shown = await browse(site.rebound_url.replace("/attack", path), tmp_path, names=(REBOUND,))
        assert "host_not_allowed" in shown
        assert "savings" not in shown
    await assert_untouched(service, account)


TRY = """
(async () => {
  const send = JSON.stringify({ receiverAddress: "NOBODY", amount: "1" });
  await attempt("list", "/wallets", {});
  await attempt("create", "/wallets/own", { method: "POST" });
  await attempt("send", SEND, { method: "POST", body: send, headers: { "Content-Type": "application/json" } });
})();
"""


async def test_the_services_own_page_does_what_it_offers(
    service: AttoService, account: str, site: HostileSite, tmp_path: Path
) -> None:
    """The site stands here for a page of the service itself: under its name a browser sends what Swagger UI sends."""
    site.attack(aimed(TRY, account), "")
    own = site.url.replace("127.0.0.1", "localhost")
    found = told(await browse(own, tmp_path))
    assert {name: outcome[:2] for name, outcome in found.items()} == {
        name: ["basic", 200] for name in ("list", "create", "send")
    }
    shown = await browse(base_url(service), tmp_path)
    assert 'class="opblock-summary-control"' in shown
    assert "Failed to load" not in shown


async def test_refusals_are_in_the_originals_form(service: AttoService, account: str) -> None:
    path = f"/wallets/accounts/{account}/transactions/SEND"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert_refused(
        await service.client.post(path, content=b"a=b", headers=form),
        415,
        "Content type 'application/x-www-form-urlencoded' is not supported; a body must be application/json",
        "unsupported_media_type",
    )
    assert_refused(
        await service.client.get("/wallets", headers={"Origin": "null"}),
        403,
        "A web page of 'null' may not call this service. STRONGROOM_ALLOWED_ORIGINS names those that may",
        "origin_not_allowed",
    )
    assert_refused(
        await service.client.post("/wallets/new", headers={"Host": "rebound.example"}),
        403,
        "The service does not answer to the host 'rebound.example'. STRONGROOM_ALLOWED_HOSTS names further ones",
        "host_not_allowed",
    )


async def test_with_tokens_the_token_is_the_permission(network: AttoNetwork, tmp_path: Path) -> None:
    """With tokens any Host and Origin is accepted, because a page has no token; bodies must still be JSON."""
    variables = {"STRONGROOM_DATA": str(tmp_path), "ATTO_REQUIRE_TOKEN": "true"}
    async with running_service(network, variables) as service:
        page = {"Origin": "https://wallet.example", "Host": "wallet.example", "Sec-Fetch-Site": "cross-site"}
        assert (await service.client.post("/wallets/new", headers=page)).status_code == 401
        text = await service.client.put("/wallets/new", content=b"{}", headers={"Content-Type": "text/plain"})
        assert text.status_code == 415
