"""docs/audit.md: its commands run as they stand, one after the other, beside a service that has signed payments."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import pytest

from strongroom.core.ledger import inspecting
from strongroom.core.transparency import inspection
from support.ports import own_ports
from support.processes import strongroom
from support.waiting import until_true

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
SCRIPT = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    variables = {"STRONGROOM_DATA": str(tmp_path_factory.mktemp("audit")), **own_ports(), "COLUMNS": "400"}
    with strongroom("serve", "--sandbox", environment=variables) as process:
        process.wait_ready()
        yield variables


def run(script: str, variables: dict[str, str], folder: Path) -> str:
    programs = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**variables, "PATH": f"{programs}:/usr/bin:/bin"},
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def payment(variables: dict[str, str]) -> str:
    """The id of a block that the service signed."""
    service = httpx2.Client(
        base_url=f"http://127.0.0.1:{variables['ATTO_PORT']}", trust_env=False, timeout=30
    )
    faucet = f"http://127.0.0.1:{variables['SANDBOX_ATTO_NODE_PORT']}/_faucet"
    with service:
        service.post("/wallets/hot").raise_for_status()
        address = service.post("/wallets/hot/accounts").json()["address"]
        paid = httpx2.post(faucet, json={"address": address, "amount": 5_000_000_000}, trust_env=False)
        paid.raise_for_status()

    async def signed() -> bool:
        return bool(list_of(variables))

    anyio.run(until_true, signed)
    return str(json.loads(list_of(variables)[0])["id"])


def list_of(variables: dict[str, str]) -> list[str]:
    folder = Path(variables["STRONGROOM_DATA"])
    return run("strongroom payments --wallet hot --json", variables, folder).splitlines()


def test_the_commands_of_the_page_do_what_it_says(
    variables: dict[str, str], payment: str, tmp_path: Path
) -> None:
    run("strongroom token create shop --scope atto:send", variables, tmp_path)
    printed = run(SCRIPT, variables | {"PAYMENT": payment}, tmp_path)
    assert "token.create" in printed
    rows = [*map(json.loads, (tmp_path / "trail.jsonl").read_text().splitlines())]
    assert {row["action"] for row in rows} == {"token.create"}  # also that of the console's sign-in link
    (row,) = (row for row in rows if row["details"]["name"] == "shop")
    assert row["principal"] == "operator"
    assert "rows verified" in printed
    *_, proof, receipt = (json.loads(line) for line in printed.splitlines() if line.startswith("{"))
    assert proof == {"ledger": "atto", "earlier": 1, "later": 2}
    assert receipt["payment"] == payment.lower()
    assert len((tmp_path / "receipt").read_text()) <= 1025  # with its line feed


def test_every_finding_is_on_the_page() -> None:
    source = Path(inspection.__file__).read_text()
    codes = {*re.findall(r'(?:code=|find\(\s*)"([a-z_]+)"', source)}
    assert len(codes) == 8
    codes |= {inspecting.ALTERED, inspecting.SEALED_ALTERED}
    assert all(f"| `{code}` |" in PAGE for code in codes)
