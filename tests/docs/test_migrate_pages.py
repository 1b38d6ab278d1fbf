"""docs/migrate-atto.md and migrate-hathor.md: their commands as they stand, on a database of the original, there and back."""

import asyncio
import gzip
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine import URL

from docs.test_docs import ROOT
from hathor.test_original import fill_original
from strongroom.core.storage.database import Database
from strongroom_sandbox.ports import default_variables
from support.adopted import look
from support.databases import execute_elsewhere
from support.keys import KEY
from support.mariadb import PASSWORD, USER, MariaDB
from support.original_database import at_rest, write_original
from support.ports import own_ports
from support.processes import Process, strongroom
from support.waiting import eventually

MOVES = (
    "SELECT action, principal, subject FROM strongroom_audit WHERE action LIKE 'database.%' ORDER BY sequence"
)
HELD = "SELECT COUNT(*) FROM strongroom_lease WHERE expires_at_ms > UNIX_TIMESTAMP() * 1000"


def blocks(ledger: str, heading: str) -> list[list[str]]:
    """The lines of each block under a heading."""
    page = (ROOT / "docs" / f"migrate-{ledger}.md").read_text()
    part = re.split(r"^## ", page, flags=re.MULTILINE)
    (text,) = (one for one in part if one.startswith(f"{heading}\n"))
    return [
        dedent(one).split("\n")[:-1]
        for one in re.findall(r"^ *```\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    ]


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    ports = own_ports()
    folder = {"STRONGROOM_DATA": str(tmp_path_factory.mktemp("networks"))}
    with strongroom("sandbox", environment=ports | folder) as process:
        process.wait_ready()
        # The recorded original of Hathor has applied more events than a new network has.
        mine = f"http://127.0.0.1:{ports['SANDBOX_HATHOR_PORT']}/_mine"
        httpx2.post(mine, json={"count": 40}, trust_env=False, timeout=30).raise_for_status()
        yield ports | default_variables(ports)


class Operator:
    """Types the lines of a page into a shell."""

    def __init__(self, variables: dict[str, str], folder: Path) -> None:
        (folder / "bin").mkdir()
        (folder / "bin" / "strongroom").symlink_to(Path(sys.executable).with_name("strongroom"))
        path = f"{folder / 'bin'}:/usr/bin:/bin"
        self._variables = {
            **variables,
            "PATH": path,
            "STRONGROOM_DATA": str(folder / "data"),
            "COLUMNS": "300",
        }
        self._folder = folder

    def type(self, line: str, *, status: int = 0, **more: str) -> str:
        """Answers a question with y; returns what was printed."""
        with self._run(f"echo y | {line}", **more) as process:
            assert process.wait_end() == status, process.logs()
            return process.logs()

    def serve(self, line: str) -> Process:
        return self._run(f"exec {line}")

    def _run(self, script: str, **more: str) -> Process:
        return Process(["bash", "-c", script], environment=self._variables | more, folder=self._folder)


def original(ledger: str, server: MariaDB) -> tuple[URL, dict[str, str]]:
    """Its database, and the variables that it had."""
    if ledger == "atto":
        url = server.new_database()
        write_original(url, [])
        names = ("ATTO_DB_HOST", "ATTO_DB_PORT", "ATTO_DB_NAME", "ATTO_DB_USER", "ATTO_DB_PASSWORD")
        more = {"CHA_CHA20_KEY_ENCRYPTION_KEY": at_rest()["kek"], "STRONGROOM_ALLOW_WEAK_KEYS": "atto"}
    else:
        url = server.new_database(charset="latin1")
        asyncio.run(_fill(url))
        names = ("DB_ENDPOINT", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASS")
        more = {"AUTH_SECRET": "a secret of the original that is long enough for Hathor"}
    values = (str(url.host), str(url.port), str(url.database), USER, PASSWORD)
    return url, dict(zip(names, values, strict=True)) | more


async def _fill(url: URL) -> None:
    database = Database(url)
    await database.write(fill_original)
    await database.close()


@pytest.mark.parametrize("ledger", ["atto", "hathor"])
def test_the_commands_of_the_page_take_a_database_over_and_give_it_back(
    ledger: str, mariadb: MariaDB, networks: dict[str, str], tmp_path: Path
) -> None:
    url, variables = original(ledger, mariadb)
    shell = Operator(networks | variables, tmp_path)
    before = asyncio.run(look(url))
    (plan,), (take,), (serve, *beside) = blocks(ledger, "In")
    assert "Nothing was changed." in shell.type(plan)
    assert asyncio.run(look(url)) == before
    assert "is taken over" in shell.type(take)
    by = execute_elsewhere(url, MOVES)
    assert [(action, subject) for action, _, subject in by] == [("database.adopt", url.database)]
    with shell.serve(serve) as service:
        service.wait_ready()
        for line in beside:  # verify: the record of the original has no miners
            assert "13 differences found" in shell.type(line, status=1)
        assert service.terminate() == 0
    # Leases that it was about to take when it was stopped end by themselves.
    asyncio.run(eventually(lambda: execute_elsewhere(url, HELD) == [["0"]]))
    ((look_first, give),) = blocks(ledger, "Back")
    assert "Nothing was changed." in shell.type(look_first)
    assert "'s again, as of" in shell.type(give)
    after = asyncio.run(look(url))
    assert after.schema == before.schema
    assert moved(tmp_path / "data") == [
        ("database.adopt", by[0][1], url.database),
        ("database.return", by[0][1], url.database),
    ]


def moved(data: Path) -> list[tuple[Any, ...]]:
    """The rows of the audit trail in the file of the tables that went."""
    (file,) = data.glob("*.jsonl.gz")
    gone = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    rows = [one["row"] for one in gone if one["table"] == "strongroom_audit" and "row" in one]
    return [
        (row["action"], row["principal"], row["subject"])
        for row in rows
        if row["action"].startswith("database.")
    ]


def test_a_takeover_whose_key_does_not_open_has_its_row_once_the_key_does(
    mariadb: MariaDB, networks: dict[str, str], tmp_path: Path
) -> None:
    url, variables = original("atto", mariadb)
    shell = Operator(networks | variables, tmp_path)
    wrong = {"CHA_CHA20_KEY_ENCRYPTION_KEY": KEY}
    said = shell.type("strongroom adopt atto --backup-made", status=1, **wrong)
    assert "atto audit trail: FAILED: it has no row of this yet" in said
    assert execute_elsewhere(url, MOVES) == []
    said = shell.type(f"strongroom adopt atto --backup {tmp_path}", status=1)
    assert "none from before it" in said
    for _ in range(2):
        shell.type("strongroom adopt atto")
        assert len(execute_elsewhere(url, MOVES)) == 1


def test_a_takeover_that_has_begun_names_its_backup(
    mariadb: MariaDB, networks: dict[str, str], tmp_path: Path
) -> None:
    _, variables = original("atto", mariadb)
    shell = Operator(networks | variables, tmp_path)
    command = f"strongroom adopt atto --backup {tmp_path / 'dumps'}"
    shell.type(command)
    (dump,) = (tmp_path / "dumps").iterdir()
    assert f"no backup is made now. {dump} is from before it" in shell.type(command)
    assert [*(tmp_path / "dumps").iterdir()] == [dump]
    dump.write_text("cut off")
    assert f"{tmp_path / 'dumps'} has none from before it" in shell.type(command, status=1)


def test_a_way_back_that_failed_leaves_one_row(
    mariadb: MariaDB, networks: dict[str, str], tmp_path: Path
) -> None:
    url, variables = original("atto", mariadb)
    shell = Operator(networks | variables, tmp_path)
    shell.type("strongroom adopt atto --backup-made")
    (tmp_path / "there").write_text("")
    for _ in range(2):
        shell.type(f"strongroom adopt atto --revert --yes --export {tmp_path / 'there'}", status=1)
        assert [row[0] for row in execute_elsewhere(url, MOVES)] == ["database.adopt", "database.return"]
    shell.type("strongroom adopt atto --revert --yes")
    assert [row[0] for row in moved(tmp_path / "data")] == ["database.adopt", "database.return"]
    # Who runs it again after it was killed behind its last step must not be told to restore a backup.
    assert "There is nothing to do" in shell.type("strongroom adopt atto --revert --yes", status=1)
