"""docs/tokens.md: the commands do what the page says, in the order in which it has them."""

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.processes import strongroom

PAGE = (Path(__file__).parents[2] / "docs" / "tokens.md").read_text()
EXAMPLE_ID = "66d6719714603492"
DAY_MS = 86_400_000


class Operator:
    """Runs the page's commands in an installation of its own, for a token that was made there."""

    def __init__(self, folder: Path) -> None:
        self._variables = {
            "STRONGROOM_DATA": str(folder),
            "NODE_BASE_URL": "http://127.0.0.1:1",
            "NETWORK": "local",
            "COLUMNS": "300",
        }
        self.token_id = EXAMPLE_ID

    def run(self, command: str) -> list[str]:
        words = shlex.split(command.replace(EXAMPLE_ID, self.token_id))
        assert words[0] == "strongroom"
        with strongroom(*words[1:], environment=self._variables) as process:
            assert process.wait_end(60) == 0, process.logs()
            return list(process.stdout)

    def token(self) -> dict[str, Any]:
        (line,) = self.run("strongroom token list --json")
        found: dict[str, Any] = json.loads(line)
        return found


def commands(word: str) -> list[str]:
    """The lines of the page's first block that have the command `word`."""
    (block,) = re.findall(r"^```\n(strongroom token create.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [line for line in block.splitlines() if line.split()[2] == word]


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def test_the_first_block_works_as_it_stands(operator: Operator) -> None:
    now_ms = datetime.now(UTC).timestamp() * 1000
    (create,), (change,), (rotate,) = commands("create"), commands("set"), commands("rotate")
    (secret,) = operator.run(create)
    operator.token_id = secret.split("_")[1]
    made = operator.token()
    assert (made["name"], made["scopes"]) == ("shop", ["atto:read", "atto:send"])
    assert (made["networks"], made["rate"]) == (["192.0.2.0/24"], "600/min")
    assert made["expires_at_ms"] >= now_ms + 90 * DAY_MS
    assert made["earlier_secret_until_ms"] is None
    assert any(operator.token_id in line for line in operator.run(commands("list")[0]))
    operator.run(change)
    assert operator.token()["networks"] == ["192.0.2.0/24", "2001:db8::/48"]
    assert operator.token()["expires_at_ms"] >= made["expires_at_ms"]
    (new_secret,) = operator.run(rotate)
    assert new_secret.split("_")[1] == operator.token_id
    assert new_secret != secret
    assert operator.token()["earlier_secret_until_ms"] >= now_ms + DAY_MS
    operator.run(commands("revoke")[0])
    assert operator.token()["revoked_at_ms"] >= now_ms


def test_the_options_in_its_text_work(operator: Operator) -> None:
    said = set(re.findall(r"`(set --[a-z]+ [a-z]+|list --[a-z]+(?: [0-9a-z]+)?)`", PAGE))
    assert said == {"set --for never", "set --rate none", "list --unused 90d", "list --json"}
    operator.token_id = operator.run("strongroom token create shop --scope '*' --for 1d --rate 5")[0].split(
        "_"
    )[1]
    operator.run(f"strongroom token set {EXAMPLE_ID} --for never")
    operator.run(f"strongroom token set {EXAMPLE_ID} --rate none")
    changed = operator.token()
    assert (changed["expires_at_ms"], changed["rate"]) == (None, None)
    assert not any(operator.token_id in line for line in operator.run("strongroom token list --unused 90d"))
