"""Migrated schemas to copy: a migration takes up to half a second, and most tests want its result alone."""

import asyncio
import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from sqlalchemy.engine import URL

from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import Revisions, migrate
from support.databases import execute_elsewhere
from support.programs import program

DUMP = (
    "--no-defaults",
    "--skip-comments",
    "--skip-add-locks",
    "--skip-add-drop-table",
    "--skip-tz-utc",
    "--hex-blob",
)
Names = tuple[str, ...]


class Schemas:
    """The migrations make each schema once a process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Names, Path] = {}
        self._dumps: dict[Names, str] = {}

    def fill(self, url: URL, components: Sequence[Revisions]) -> URL:
        """Gives an empty database the tables of the core and of these components."""
        if url.get_backend_name() == "sqlite":
            shutil.copyfile(self._file(components), str(url.database))
        else:
            execute_elsewhere(url, self._dump(url, components))
        return url

    def fill_new(self, url: URL, components: Sequence[Revisions]) -> None:
        """The same for the file of SQLite that a service would make; there is nothing to do for any other database."""
        if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
            self.fill(url, components)

    def _file(self, components: Sequence[Revisions]) -> Path:
        names = _names(components)
        if names not in self._files:
            path = self._folder / f"{'-'.join(('core', *names))}.sqlite3"
            _migrate(sqlite_url(str(path)), components)
            self._files[names] = path
        return self._files[names]

    def _dump(self, server: URL, components: Sequence[Revisions]) -> str:
        names = _names(components)
        if names not in self._dumps:
            template = server.set(database=f"template_{'_'.join(('core', *names))}")
            name = template.database
            execute_elsewhere(
                server, f"DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4"
            )
            _migrate(template, components)
            self._dumps[names] = dumped(template)
        return self._dumps[names]


@cache
def shared_schemas() -> Schemas:
    """Those of this process."""
    folder = tempfile.TemporaryDirectory(prefix="schemas-")
    atexit.register(folder.cleanup)
    return Schemas(Path(folder.name))


def _names(components: Sequence[Revisions]) -> Names:
    return tuple(each.component for each in components)


def _migrate(url: URL, components: Sequence[Revisions]) -> None:
    """In a thread, because the fixture that asks for it may stand in an event loop."""

    async def migrated() -> None:
        database = Database(url)
        try:
            await migrate(database, components)
        finally:
            await database.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrated()).result()


def dumped(url: URL) -> str:
    """Every table of a MySQL database with its rows, as statements."""
    address = (f"--host={url.host}", f"--port={url.port}")
    access = (f"--user={url.username}", f"--password={url.password}")
    command = [program("mariadb-dump"), *DUMP, *address, *access, str(url.database)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
