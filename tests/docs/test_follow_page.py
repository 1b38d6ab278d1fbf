"""docs/follow.md: its commands run as they stand, and every step is in its table."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx2

from strongroom.core.ledger.life.facts import Word
from support.ports import own_ports
from support.processes import strongroom
from support.waiting import until_true

PAGE = (Path(__file__).parents[2] / "docs" / "follow.md").read_text()
SCRIPT = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))


async def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    variables = {"STRONGROOM_DATA": str(tmp_path), **own_ports(), "COLUMNS": "300"}
    url = f"http://127.0.0.1:{variables['ATTO_PORT']}"
    with (
        strongroom("serve", "--sandbox", environment=variables) as process,
        httpx2.Client(base_url=url, trust_env=False, verify=False, timeout=30) as client,
    ):
        process.wait_ready()
        assert client.post("/wallets/shop").status_code == 200
        addresses = [client.post("/wallets/shop/accounts").json()["address"] for _ in range(2)]
        faucet = f"http://127.0.0.1:{variables['SANDBOX_ATTO_NODE_PORT']}/_faucet"
        body = {"address": addresses[0], "amount": 50_000_000_000}
        httpx2.post(faucet, json=body, trust_env=False).raise_for_status()

        async def is_open() -> bool:
            return client.get(f"/wallets/accounts/{addresses[0]}/details").status_code == 200

        await until_true(is_open)
        lines = run(SCRIPT, variables | {"ATTO": url, "FROM": addresses[0], "TO": addresses[1]})
        assert process.terminate() == 0
        logged = [line for line in process.stderr if "order-4711" in line]
    for step in ("requested", "signed", "offered", "confirmed"):
        assert sum(f"payment {step} " in line and "ledger=atto" in line for line in logged) == 1, step
    (access,) = [line for line in logged if "transactions/SEND" in line]
    assert "route=/wallets/accounts/{" in access
    assert addresses[0] not in access
    sent = json.loads(lines[0])
    assert f"atto SEND {sent['hash']}: ACCEPTED, 7 raw to {addresses[1].split('://')[-1]}" in lines
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert [one.get("id", sent["hash"]) for one in told[1:3]] == [sent["hash"]] * 2
    steps = [step["step"] for step in told[2]["life"]]
    assert steps == ["asked", "allowed", "signed", "offered", "confirmed"]
    assert [step["step"] for step in told[3]["lives"][0]["life"]] == steps
    assert [one["requestId"] for one in told[4]["payments"]] == ["order-4711"]


def run(script: str, variables: dict[str, str]) -> list[str]:
    """What it printed; each answer of curl is a line."""
    secret = "TOKEN=$(strongroom token create reader --scope admin:payments)\n"
    done = subprocess.run(
        [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            secret + script.replace("curl -s ", r"curl -sS --fail-with-body -w '\n' "),
        ],
        env={
            **variables,
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "ADMIN": f"http://127.0.0.1:{variables['CONSOLE_PORT']}/admin/v1",
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line]


def test_every_step_is_on_the_page() -> None:
    assert all(f"`{word.value}`" in PAGE for word in Word)
