"""Each database takes every compiled statement of the ledger, also those of rare paths."""

import importlib
import itertools
import pkgutil
from collections.abc import Iterable, Iterator

import pytest
from sqlalchemy import Connection

from strongroom import hathor
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import Statement
from strongroom.hathor.wallets import utxos

pytestmark = pytest.mark.anyio
FEWEST = 100


def statements_in(value: object) -> Iterator[Statement]:
    if isinstance(value, Statement):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from statements_in(item)
    elif isinstance(value, dict):
        yield from statements_in(list(value.values()))


def every_statement() -> dict[str, Statement]:
    found: dict[str, Statement] = {}
    for module in pkgutil.walk_packages(hathor.__path__, f"{hathor.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            for place, statement in enumerate(statements_in(value)):
                found[f"{module.name}.{name}.{place}"] = statement
    for flags in itertools.product((False, True), repeat=4):
        names = ("is_authority", "skip_locked", "skip_spent", "at_addresses")
        found[f"outputs {flags}"] = utxos._filtered(**dict(zip(names, flags, strict=True)))
    return found


def explain(connection: Connection, statement: Statement, lengths: Iterable[int]) -> None:
    compiled = statement.compiled(connection.dialect.name)
    for length in lengths:
        values = [[1, [1] * compiled.width][compiled.width > 1]] * length
        arguments = [1] * statement.argument_count
        text, parameters = compiled.bound([values, *arguments] if compiled.width else arguments)
        connection.exec_driver_sql(f"EXPLAIN {text}", tuple(parameters)).fetchall()


async def test_the_database_takes_every_statement(database: Database) -> None:
    found = every_statement()
    assert len(found) > FEWEST

    def work(connection: Connection) -> None:
        for statement in found.values():
            explain(connection, statement, (1, 3))

    await database.read(work)
