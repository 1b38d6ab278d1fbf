"""A look at a test's database past the code under test."""

import sqlite3
import subprocess
from contextlib import closing

from sqlalchemy.engine import URL

from support.programs import program


def execute_elsewhere(url: URL, statements: str) -> list[list[str]]:
    """Runs SQL, `;` between statements, over a connection of its own; returns the rows of a query as text."""
    if url.get_backend_name() == "sqlite":
        return _execute_sqlite(url, statements)
    return _execute_mysql(url, statements)


def _execute_sqlite(url: URL, statements: str) -> list[list[str]]:
    assert url.database is not None
    with closing(sqlite3.connect(url.database, isolation_level=None)) as connection:
        rows: list[list[str]] = []
        for statement in filter(str.strip, statements.split(";")):
            rows += [[str(value) for value in row] for row in connection.execute(statement)]
        return rows


def _execute_mysql(url: URL, statements: str) -> list[list[str]]:
    command = [
        program("mariadb"),
        "--no-defaults",
        "--batch",
        "--skip-column-names",
        f"--host={url.host}",
        f"--port={url.port}",
        f"--user={url.username}",
        f"--password={url.password}",
        f"--execute={statements}",
        *([url.database] if url.database else []),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]
