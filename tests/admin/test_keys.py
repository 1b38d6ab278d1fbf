"""Keys by the admin API: their versions, their change, the seal, and what the audit trail says of it."""

from pathlib import Path

import pytest

from strongroom.core.security.custody.custody import Custody
from support.admin_office import Office
from support.keys import OTHER_KEY

pytestmark = pytest.mark.anyio


def custody_of(office: Office) -> Custody:
    custody = office.ledgers["atto"].custody
    assert custody is not None
    return custody


@pytest.fixture
def key(office: Office, tmp_path: Path) -> str:
    """The installation's own."""
    assert office.ledgers
    return (tmp_path / "atto.kek").read_text().strip()


async def test_the_key_is_changed(office: Office) -> None:
    token = await office.token("admin:read", "admin:keys", name="keeper")
    (first,) = (await office.ask(token, "GET", "/ledgers/atto/keys")).json()["versions"]
    assert (first["version"], first["state"], first["rows"], first["backend"]) == (1, "active", 0, None)
    rotated = await office.ask(token, "POST", "/ledgers/atto/keys/rotate")
    assert (rotated.status_code, rotated.json()) == (200, {"version": 2})
    assert custody_of(office).news.is_set()
    await custody_of(office).carry_on()
    listed = (await office.ask(token, "GET", "/ledgers/atto/keys")).json()
    assert [(one["version"], one["state"]) for one in listed["versions"]] == [(1, "retired"), (2, "active")]
    rows = [row[:2] for row in await office.audit() if row[1].startswith("key.rot")]
    assert rows == [("token:keeper", "key.rotate"), ("system:keys", "key.rotated")]


async def test_sealed_and_unsealed(office: Office, key: str) -> None:
    token = await office.token("admin", name="boss")
    sealed = await office.ask(token, "POST", "/ledgers/atto/seal")
    assert (sealed.status_code, sealed.json()) == (200, {"isSealed": True, "isNew": True})
    assert not custody_of(office).ring.is_open
    listed = (await office.ask(token, "GET", "/ledgers/atto/keys")).json()
    assert (listed["isSealed"], listed["versions"][0]["rows"]) == (True, None)
    assert (await office.ask(token, "GET", "/ledgers/atto/rules")).status_code == 200
    for path, body in (
        ("/keys/rotate", None),
        ("/freezes", {"scope": "ledger", "reason": "a theft"}),
        ("/tokens", {"name": "child", "scopes": ["atto:read"]}),
    ):
        refused = await office.ask(token, "POST", f"/ledgers/atto{path}", body)
        assert (refused.status_code, refused.json()["code"]) == (503, "sealed"), path
    wrong = await office.ask(token, "POST", "/ledgers/atto/unseal", {"key": OTHER_KEY})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "unseal_refused")
    bad = await office.ask(token, "POST", "/ledgers/atto/unseal", {"key": "no key"})
    assert (bad.status_code, bad.json()["code"]) == (400, "key_invalid")
    unsealed = await office.ask(token, "POST", "/ledgers/atto/unseal", {"key": key})
    assert unsealed.status_code == 200, unsealed.text
    await custody_of(office).look()
    assert (await office.ask(token, "GET", "/ledgers/atto/keys")).json()["isSealed"] is False
    rows = [row for row in await office.audit() if row[1] in {"seal", "unseal"}]
    assert rows == [
        ("token:boss", "seal", "wallet", rows[0][3]),
        ("token:boss", "unseal", "wallet", rows[1][3]),
    ]
    assert rows[1][3]["failedAttempts"] == 1


async def test_a_ledger_without_keys_says_so(office: Office) -> None:
    token = await office.token("admin", on=["hathor"])
    for method, path in (("GET", "/keys"), ("POST", "/seal")):
        answer = await office.ask(token, method, f"/ledgers/hathor{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "no_keys")


async def test_everything_is_sealed_by_one_call(office: Office, key: str) -> None:
    """Hathor holds no keys, so it is not among what is sealed."""
    token = await office.token("admin", on=["atto", "hathor"], name="boss")
    for _ in range(2):  # what was sealed before is done
        sealed = await office.ask(token, "POST", "/seal")
        assert (sealed.status_code, sealed.json()) == (200, {"ledgers": [{"ledger": "atto", "done": True}]})
        assert not custody_of(office).ring.is_open
    assert (await office.ask(token, "POST", "/ledgers/atto/unseal", {"key": key})).status_code == 200
    await custody_of(office).look()
    assert [row[:3] for row in await office.audit() if row[1] == "seal"] == [("token:boss", "seal", "wallet")]
    refused = await office.ask(await office.token("admin:freeze"), "POST", "/seal")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    hathor = await office.ask(await office.token("admin", on=["hathor"]), "POST", "/seal")
    assert (hathor.status_code, hathor.json()["code"]) == (404, "no_keys")
    assert custody_of(office).ring.is_open
