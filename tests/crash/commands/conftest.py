"""Databases of two ledgers with rows of every kind, on each engine, and the variables that name them."""

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from strongroom.atto.definition import REVISIONS as ATTO
from strongroom.core.storage.database import sqlite_url
from strongroom.core.storage.transfer.copying import Copying
from strongroom.hathor.definition import REVISIONS as HATHOR
from support.adopted import look
from support.databases import execute_elsewhere
from support.filled import fill_mysql
from support.mariadb import PASSWORD, USER, MariaDB
from support.schema import shared_schemas

LEDGERS = {"atto": ATTO, "hathor": HATHOR}
NODES = {
    "NETWORK": "LOCAL",
    "NODE_BASE_URL": "http://127.0.0.1:9",
    "DEFAULT_SERVER": "http://127.0.0.1:9/v1a",
    "HATHOR_NETWORK": "privatenet",
    "AUTH_SECRET": "a secret of a test that is long enough for Hathor",
}
AT_REST = """DELETE FROM strongroom_audit; DELETE FROM strongroom_audit_lane; UPDATE strongroom_lease SET expires_at_ms = 0;
UPDATE strongroom_replica SET seen_at_ms = 0"""
LEASES = "INSERT INTO strongroom_lease (name, holder, fence, expires_at_ms) VALUES "
MANY = 700


class Place:
    """Where the databases of the two ledgers are, on one engine."""

    def __init__(self, urls: Mapping[str, URL]) -> None:
        self.urls = urls

    def variables(self) -> dict[str, str]:
        """What names them to the program. Files lie in the data folder, under the names that it has for them."""
        atto, hathor = (self.urls[name] for name in LEDGERS)
        if atto.get_backend_name() == "sqlite":
            return NODES | {"STRONGROOM_DATA": str(Path(str(atto.database)).parent)}
        return NODES | {
            "ATTO_DB_HOST": "127.0.0.1",
            "ATTO_DB_PORT": str(atto.port),
            "ATTO_DB_NAME": str(atto.database),
            "ATTO_DB_USER": USER,
            "ATTO_DB_PASSWORD": PASSWORD,
            "DB_ENDPOINT": "127.0.0.1",
            "DB_PORT": str(hathor.port),
            "DB_NAME": str(hathor.database),
            "DB_USER": USER,
            "DB_PASS": PASSWORD,
        }

    def content(self) -> list[object]:
        """The schema and every row."""
        return [_content(url) for url in self.urls.values()]


class Places:
    """Makes places."""

    def __init__(self, server: MariaDB) -> None:
        self._server = server
        self._number = 0

    def empty(self, engine: str, folder: Path) -> Place:
        """On a server `{ledger}` in one name stands for each; files are not there yet."""
        self._number += 1
        if engine == "sqlite":
            there = folder / f"place-{self._number}"
            there.mkdir()
            return Place({name: sqlite_url(str(there / f"{name}.sqlite3")) for name in LEDGERS})
        urls = {name: self._server.url(f"place_{self._number}_{name}") for name in LEDGERS}
        for url in urls.values():
            execute_elsewhere(self._server.url(), f"CREATE DATABASE {url.database} CHARACTER SET utf8mb4")
        return Place(urls)

    def filled(self, engine: str, folder: Path) -> Place:
        """Every table has rows, and one has several chunks of them."""
        place = self.empty("mariadb", folder)
        for name, url in place.urls.items():
            shared_schemas().fill(url, (LEDGERS[name],))
            asyncio.run(fill_mysql(url))
            rows = ", ".join(f"('{number:05d}', 'h', {number}, 0)" for number in range(MANY))
            execute_elsewhere(url, f"{AT_REST}; {LEASES} {rows}")
        if engine == "mariadb":
            return place
        files = self.empty("sqlite", folder)
        for name, url in place.urls.items():
            copying = Copying(source=url, target=files.urls[name], components=(LEDGERS[name],))
            asyncio.run(copying.copy())
        return files


@pytest.fixture(scope="module")
def places(mariadb: MariaDB) -> Places:
    return Places(mariadb)


def _content(url: URL) -> object:
    if url.get_backend_name() != "sqlite":
        return asyncio.run(look(url))
    with closing(sqlite3.connect(str(url.database))) as connection:
        return sorted(connection.iterdump())
