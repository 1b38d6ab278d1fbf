"""Databases under several processes: one server, or a node of a cluster for each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.engine import URL

from support.galera import Galera, running_galera
from support.group_replication import Group, running_group
from support.mariadb import MariaDB, running_mariadb


@dataclass(frozen=True, kw_only=True)
class Databases:
    """An empty database as each of two processes is connected to it, and the servers that hold it."""

    urls: tuple[URL, URL]
    server: MariaDB | None = None
    galera: Galera | None = None
    group: Group | None = None


@contextmanager
def running_databases(engine: str) -> Iterator[Databases]:
    """`engine`: mariadb, galera, single-primary or multi-primary (both MySQL's Group Replication)."""
    if engine == "mariadb":
        with running_mariadb(durable=True) as server:
            url = server.new_database()
            yield Databases(urls=(url, url), server=server)
    elif engine == "galera":
        with running_galera() as cluster:
            name = cluster.new_database()
            cluster.catch_up()
            # A client's next request may come to the other node.
            first, second = (node.url(name, waits=True) for node in (cluster.first, cluster.second))
            yield Databases(urls=(first, second), galera=cluster)
    else:
        with running_group(multi_primary=engine == "multi-primary") as group:
            yield Databases(urls=group.new_database(), group=group)
