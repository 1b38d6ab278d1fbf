"""The backup before a takeover: it is complete and can be restored, or there is none."""

import asyncio
import subprocess
from functools import partial
from pathlib import Path

import pytest

from strongroom.core.errors import Conflict, InvalidInput
from strongroom.core.storage.adoption.dump import dump
from support.adopted import look
from support.databases import execute_elsewhere
from support.mariadb import PASSWORD, USER, MariaDB
from support.original_database import OriginalAccount, write_original
from support.programs import program

pytestmark = pytest.mark.anyio


async def test_a_dump_restores_the_database(mariadb: MariaDB, tmp_path: Path) -> None:
    source, target = mariadb.new_database(), mariadb.new_database()
    write_original(source, [OriginalAccount(address="a" * 61, index=0, notified_height=2)])
    file = tmp_path / "backups" / "before.sql"
    dump(source, file)
    assert file.stat().st_mode & 0o777 == 0o600
    command = [program("mariadb"), "--no-defaults", "--protocol=tcp", "--host=127.0.0.1"]
    login = [f"--port={mariadb.port}", f"--user={USER}", f"--password={PASSWORD}", str(target.database)]
    restore = partial(subprocess.run, [*command, *login], input=file.read_bytes(), check=True)
    await asyncio.to_thread(restore)
    assert await look(target) == await look(source)
    with pytest.raises(Conflict, match="already exists"):
        dump(source, file)


def test_a_dump_that_is_not_complete_is_none(
    mariadb: MariaDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = mariadb.new_database()
    file = tmp_path / "before.sql"
    with pytest.raises(Conflict, match=r"The backup is not complete.*status 2: .*Access denied") as refused:
        dump(url.set(password="wrong-password"), file)
    assert "wrong-password" not in str(refused.value)
    odd = 'two\\ "words" #;'  # right, for a user without rights: the server says so otherwise
    told = odd.replace("\\", "\\\\")
    execute_elsewhere(url, "DROP USER IF EXISTS odd@'%'")
    execute_elsewhere(url, f"CREATE USER odd@'%' IDENTIFIED BY '{told}'")
    with pytest.raises(Conflict, match="Access denied for user 'odd'@'%' to database"):
        dump(url.set(username="odd", password=odd), file)
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(InvalidInput, match="neither mariadb-dump nor mysqldump"):
        dump(url, file)
    cut = programs / "mysqldump"  # as one behind a wrapper that hides how it ended
    cut.write_text("#!/bin/sh\necho 'CREATE TABLE wallet (name INT);'\n")
    cut.chmod(0o700)
    with pytest.raises(Conflict, match="status 0: it said nothing"):
        dump(url, file)
    assert list(tmp_path.iterdir()) == [programs]
