"""What docs/keys.md says of changing the key, of `strongroom seal` and of `strongroom unseal`, beside a service that runs."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from commands.conftest import Installation
from support.keys import OTHER_KEY
from support.waiting import eventually

pytestmark = pytest.mark.anyio

PAGE = (Path(__file__).parents[2] / "docs" / "keys.md").read_text()
BLOCKS = re.findall(r"^```\n(strongroom (?:keys rotate|seal).*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def words_of(line: str) -> list[str]:
    command = line.partition("#")[0].split()
    assert command[0] == "strongroom"
    return command[1:]


class KeyFile:
    """The installation's own key, and the earlier ones."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        return self._path.read_text()

    def earlier(self) -> list[str]:
        return [path.read_text() for path in self._path.parent.glob("atto.kek.v*")]


@pytest.fixture
def key_file(installation: Installation) -> KeyFile:
    return KeyFile(Path(installation.variables["STRONGROOM_DATA"]) / "atto.kek")


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    path = tmp_path / "wrong"
    path.write_text(OTHER_KEY)
    return str(path)


@pytest.fixture
def health(installation: Installation) -> Iterator[httpx2.Client]:
    url = f"http://127.0.0.1:{installation.variables['MANAGEMENT_PORT']}"
    with httpx2.Client(base_url=url, trust_env=False, timeout=30) as client:
        yield client


async def test_the_page_s_commands_change_the_key(installation: Installation, key_file: KeyFile) -> None:
    assert installation.client.post("/wallets/Rotated").is_success
    before = key_file.read()
    dry, rotate, listing = (words_of(line) for line in BLOCKS[0].splitlines())
    ended = installation.run(*dry)
    assert (ended.status, key_file.read()) == (0, before)
    assert ended.stdout[0].startswith("makes active version ")
    assert any(line.startswith("process ") for line in ended.stdout)
    ended = installation.run(*rotate)
    assert ended.status == 0, ended.stderr
    assert re.fullmatch(r"version \d+ is active; \d+ rows were sealed anew", ended.stdout[0])
    assert key_file.read() != before
    assert before in key_file.earlier()
    ended = installation.run(*listing)
    assert ended.status == 0
    assert "retired" in " ".join(ended.stdout)
    assert installation.client.put("/wallets/Rotated/locks/LOCKED").is_success


async def test_the_page_s_commands_seal_and_unseal(
    installation: Installation, key_file: KeyFile, health: httpx2.Client, wrong: str
) -> None:
    seal, unseal = (words_of(line) for line in BLOCKS[1].splitlines())
    assert installation.run(*seal).stdout == ["atto: sealed"]
    await eventually(lambda: health.get("/health").json()["status"] == "SEALED")
    assert health.get("/health/readiness").json()["status"] == "SEALED"
    refused = installation.client.post("/wallets/Sealed")
    assert (refused.status_code, refused.json()["code"]) == (503, "sealed")
    assert installation.client.get("/wallets").is_success
    assert installation.run(*seal).stdout == ["atto: was sealed before"]
    ended = installation.run(*unseal, "--key-file", wrong)
    assert (ended.status, ended.stdout) == (1, [])
    assert "it stays sealed" in ended.stderr[-1]
    key = key_file.read().strip()
    assert installation.run(*unseal, variables={"STRONGROOM_UNSEAL_KEY": key}).stdout == ["atto: unsealed"]
    await eventually(lambda: installation.client.post("/wallets/Unsealed").is_success)
    assert health.get("/health").json()["status"] != "SEALED"
    rows = installation.run("audit", "show", "--ledger", "atto", "--json").stdout
    found = [json.loads(row) for row in rows]
    assert [one["action"] for one in found if one["action"] in {"seal", "unseal"}] != []
