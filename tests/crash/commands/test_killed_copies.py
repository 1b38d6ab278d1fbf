"""kill -9 of `strongroom copy`, `backup` and `restore` at any step: the same command goes on, or says what to do."""

import json
from pathlib import Path
from typing import Any

import pytest

from crash.commands.conftest import Place, Places
from support.killed_programs import KILLED, Command
from support.mariadb import PASSWORD
from support.seeds import seeded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROUNDS = 8
MAX_KILLS = 3
IDENTITY = "AGE-SECRET-KEY-13C5X0CMGFXLRVJM0XLXVP8L6FM0CM4UDU8HKZP9Q0JLHV86462YS882TGH"
RECIPIENT = "age1q2dfg95mra686vfm4gh3ucsqafxslxzgm7y74htsg5rr2gf6x4pqcw4lux"
SECRET = "07" * 32
ENGINES = ("sqlite", "mariadb")


def name_of(place: Place) -> str:
    """What `--to` says of it."""
    url = place.urls["atto"]
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{url.database}".replace("atto", "{ledger}")
    name = str(url.database).replace("atto", "{ledger}")
    return f"mysql://{url.username}@{url.host}:{url.port}/{name}"


@pytest.mark.parametrize("source", ENGINES)
@pytest.mark.parametrize("target", ENGINES)
def test_a_killed_copy_goes_on(source: str, target: str, places: Places, tmp_path: Path) -> None:
    random = seeded(f"copy {source} {target}")
    original = places.filled(source, tmp_path)
    password = {"STRONGROOM_COPY_PASSWORD": PASSWORD}
    command = Command(random, tmp_path, original.variables() | password)
    undisturbed = places.empty(target, tmp_path)
    command.measure("copy", "--all", "--to", name_of(undisturbed))
    wanted = undisturbed.content()
    for _ in range(ROUNDS):
        copied = places.empty(target, tmp_path)
        for _ in range(random.randint(1, MAX_KILLS)):
            ended = command.kill("copy", "--all", "--to", name_of(copied))
            assert ended.status in {0, KILLED}, ended.logs
        # A copy whose last kill came too late is complete already, which is no fault.
        command.run("copy", "--all", "--to", name_of(copied))
        assert copied.content() == wanted
        command.run("copy", "--verify", "--all", "--to", name_of(copied))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a key."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "atto.kek").write_text(SECRET)
    (folder / "atto.kek").chmod(0o600)
    return folder


def ledgers_of(backup: Path) -> dict[str, Any]:
    """What the manifest says of the content, which is the same in every backup of the same rows."""
    ledgers = json.loads((backup / "manifest.json").read_text())["ledgers"]
    return {name: (one["revisions"], one["rows"], one["hashes"]) for name, one in ledgers.items()}


@pytest.mark.parametrize("locked", [(), ("--recipient", RECIPIENT)], ids=["plain", "encrypted"])
@pytest.mark.parametrize("source", ENGINES)
def test_a_killed_backup_is_none(
    source: str, locked: tuple[str, ...], places: Places, tmp_path: Path, data: Path
) -> None:
    random = seeded(f"backup {source} {locked}")
    original = places.filled(source, tmp_path)
    variables = original.variables()
    if source == "sqlite":
        data = Path(variables["STRONGROOM_DATA"])
        (data / "atto.kek").write_text(SECRET)
    identity = tmp_path / "identity"
    identity.write_text(IDENTITY)
    identity.chmod(0o600)
    opening = ("--identity", str(identity)) if locked else ()
    command = Command(random, tmp_path, variables | {"STRONGROOM_DATA": str(data)})
    command.measure("backup", "whole", "--keys", "whole-keys", *locked)
    wanted = ledgers_of(tmp_path / "whole")
    for number in range(2 * ROUNDS):
        backup, keys = f"backup-{number}", f"keys-{number}"
        ended = command.kill("backup", backup, "--keys", keys, *locked)
        seen = command.try_it("verify", backup, *opening)
        if seen.status == 0:
            assert ledgers_of(tmp_path / backup) == wanted
            assert (tmp_path / keys / "atto.kek").read_text() == SECRET
            continue
        assert ended.status == KILLED, ended.logs
        assert (seen.status, "backup_incomplete" in seen.logs) == (1, True), seen.logs
        again = command.try_it("backup", backup, "--keys", keys, *locked)
        if again.status != 0:
            assert "was not completed" in again.logs
            assert "name a new folder" in again.logs
            backup = f"backup-{number}-again"
            command.run("backup", backup, "--keys", keys, *locked)
        command.run("verify", backup, *opening)
        assert ledgers_of(tmp_path / backup) == wanted
        assert (tmp_path / keys / "atto.kek").read_text() == SECRET


@pytest.mark.parametrize("locked", [(), ("--recipient", RECIPIENT)], ids=["plain", "encrypted"])
@pytest.mark.parametrize("target", ENGINES)
def test_a_killed_restore_goes_on(
    target: str, locked: tuple[str, ...], places: Places, tmp_path: Path, data: Path
) -> None:
    random = seeded(f"restore {target} {locked}")
    original = places.filled("mariadb", tmp_path)
    command = Command(random, tmp_path, original.variables() | {"STRONGROOM_DATA": str(data)})
    command.run("backup", "whole", "--keys", "keys", *locked)
    identity = tmp_path / "identity"
    identity.write_text(IDENTITY)
    identity.chmod(0o600)
    restore = ("restore", "whole", "--keys", "keys", *(("--identity", str(identity)) if locked else ()))

    def variables(place: Place) -> dict[str, str]:
        if target == "sqlite":
            return place.variables()
        new = data.with_name(f"data-of-{place.urls['atto'].database}")
        return place.variables() | {"STRONGROOM_DATA": str(new)}

    undisturbed = places.empty(target, tmp_path)
    restoring = Command(random, tmp_path, {})
    restoring.measure(*restore, **variables(undisturbed))
    wanted = undisturbed.content()
    for _ in range(ROUNDS):
        restored = places.empty(target, tmp_path)
        for _ in range(random.randint(1, MAX_KILLS)):
            ended = restoring.kill(*restore, **variables(restored))
            assert ended.status in {0, KILLED}, ended.logs
        restoring.run(*restore, **variables(restored))
        assert restored.content() == wanted
        assert (Path(variables(restored)["STRONGROOM_DATA"]) / "atto.kek").read_text() == SECRET
