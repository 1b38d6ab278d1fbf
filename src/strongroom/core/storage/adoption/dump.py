"""Dumps an original's database with the server's own program, before it is taken over."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from sqlalchemy.engine import URL

from strongroom.core.errors import Conflict, InvalidInput
from strongroom.core.storage.backup import put_file

PROGRAMS = ("mariadb-dump", "mysqldump")
OPTIONS = ("--single-transaction", "--routines", "--hex-blob", "--no-tablespaces", "--comments")
CLOSING = b"-- Dump completed"
TAIL = 4096
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


def dump(url: URL, target: Path) -> None:
    """Writes the whole database as SQL, for this user alone, and makes sure that the dump is complete.

    Raises:
        InvalidInput: this machine has no program for it.
        Conflict: the target exists, or the dump is not complete; there is no file then.
    """
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise InvalidInput(
            f"This machine has neither {' nor '.join(PROGRAMS)}: make the backup where one is, then say --backup-made"
        )
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    put_file(target, lambda draft: _dump(program, url, draft))


def dump_name(database: str, now_ms: int) -> str:
    return f"{database}-{now_ms}.sql"


def find_dumps(folder: Path, database: str) -> list[Path]:
    """The complete dumps of the database in the folder, the newest last."""
    name = re.compile(re.escape(database) + r"-[0-9]{13}\.sql")
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    return [one for one in there if name.fullmatch(one.name) and _is_complete(one)]


def _dump(program: str, url: URL, draft: Path) -> None:
    # The password is in a file that only this user reads: arguments are visible to everybody on the machine.
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as options:
        options.write(_options(url))
        options.flush()
        command = [program, f"--defaults-file={options.name}", *OPTIONS, "--", str(url.database)]
        with draft.open("wb") as file:
            ended = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, check=False)  # noqa: S603 - nobody else names it
    if ended.returncode != 0 or not _is_complete(draft):
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        raise Conflict(
            f"The backup is not complete, so nothing was changed. {Path(program).name} ended with status"
            f" {ended.returncode}: {said[-1] if said else 'it said nothing'}"
        )


def _options(url: URL) -> str:
    values = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
    lines = [
        f'{name}="{str(value).translate(_ESCAPES)}"' for name, value in values.items() if value is not None
    ]
    return "\n".join(["[client]", "protocol=tcp", *lines, ""])


def _is_complete(draft: Path) -> bool:
    with draft.open("rb") as file:
        file.seek(max(0, draft.stat().st_size - TAIL))
        return file.read().rstrip().rpartition(b"\n")[2].startswith(CLOSING)
