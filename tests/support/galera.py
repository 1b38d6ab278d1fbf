"""Two nodes of a Galera cluster on this machine: MariaDB servers that certify each other's transactions.

A node applies the transactions of the other one in order, one after the other. `Lag` gives the second node work for some tens of
milliseconds. Until that is done, what the first node commits next is decided, but nobody sees it at the second node. Whatever
relies on a row that it only reads goes wrong then.
"""

import asyncio
import getpass
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import URL

from strongroom.core.storage.database import Database, mysql_url
from strongroom.core.storage.migrations import Revisions, migrate
from support.databases import execute_elsewhere
from support.mariadb import FAST, INIT_SQL, PASSWORD, USER, VOLATILE
from support.ports import free_port
from support.processes import Process
from support.programs import program

# A node that is away is given up after two seconds; the default is fifteen.
HASTY = (
    "evs.keepalive_period=PT0.2S;evs.inactive_check_period=PT0.2S;evs.suspect_timeout=PT1S;"
    "evs.inactive_timeout=PT2S;evs.install_timeout=PT2S;gcache.size=16M"
)
JOINED_S = 25.0
SHORT, LONG = 20_000, 200_000
"""Rows that a node takes some tens of milliseconds to apply, and some hundreds."""


class GaleraNode:
    """One server. Its `url`s are as those of `MariaDB`."""

    def __init__(
        self, folder: Path, *, peers: list[int], cluster_port: int, options: Sequence[str] = ()
    ) -> None:
        self._folder = folder
        self._peers = peers
        self._options_of_server = options
        self.port = free_port()
        self.cluster_port = cluster_port
        self._transfer_port = free_port()
        self._state_port = free_port()
        self.process: Process | None = None

    def url(self, name: str = "", *, waits: bool = False) -> URL:
        """`waits`: as the service does it by default. Without it what a late node lacks shows, and locks must hold."""
        return mysql_url(
            host="127.0.0.1", port=self.port, name=name, user=USER, password=PASSWORD, waits=waits
        )

    def start(self, *, first: bool = False, position: str = "") -> None:
        """`first`: it begins the cluster. `position`: what it has, where that is not in its own notes."""
        is_new = not (self._folder / "init.sql").exists()
        if is_new:
            (self._folder / "init.sql").write_text(INIT_SQL)
        arguments = self._command(first=first)
        arguments += [f"--init-file={self._folder / 'init.sql'}"] if is_new else []
        arguments += [f"--wsrep-start-position={position}"] if position else []
        process = self.process = Process(arguments)
        try:
            process.wait_for("Synchronized with group, ready for connections", JOINED_S)
            process.wait_for("ready for connections.", JOINED_S)
        except BaseException:
            process.kill()
            raise
        self.process = process

    def _command(self, *, first: bool) -> list[str]:
        address = ",".join(f"127.0.0.1:{port}" for port in self._peers)
        return [
            program("mariadbd"),
            "--no-defaults",
            f"--datadir={self._folder / 'data'}",
            f"--tmpdir={self._folder / 'tmp'}",
            f"--user={getpass.getuser()}",
            f"--socket={self._folder / 'server.sock'}",
            "--skip-networking=0",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=16M",
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
            "--wsrep-on=ON",
            f"--wsrep-provider={provider()}",
            f"--wsrep-cluster-address=gcomm://{'' if first else address}",
            f"--wsrep-node-address=127.0.0.1:{self.cluster_port}",
            f"--wsrep-sst-receive-address=127.0.0.1:{self._state_port}",
            f"--wsrep-provider-options={self._options()}",
            *FAST,
            *VOLATILE,
            *self._options_of_server,
        ]

    def _options(self) -> str:
        listen, transfer = f"tcp://127.0.0.1:{self.cluster_port}", f"tcp://127.0.0.1:{self._transfer_port}"
        return f"gmcast.listen_addr={listen};ist.recv_addr={transfer};{HASTY}"

    def recover(self) -> None:
        """Starts it after a kill, at the position that its files hold: it gets only what it missed (IST). systemd's unit does so too."""
        recovering = [*self._command(first=False), "--wsrep-recover"]
        told = subprocess.run(recovering, check=False, capture_output=True, text=True)
        found = re.search(r"Recovered position: (\S+)", told.stdout + told.stderr)
        assert found is not None, told.stdout + told.stderr
        self.start(position=found[1])

    def kill(self) -> None:
        """As a power cut would. What is left of a cluster of two has no quorum."""
        assert self.process is not None
        self.process.kill()

    def stop(self) -> None:
        if self.process is not None and self.process.running:
            self.process.terminate(JOINED_S)

    def has_quorum(self) -> bool:
        status = execute_elsewhere(self.url(), "SHOW STATUS LIKE 'wsrep_cluster_status'")
        return status == [["wsrep_cluster_status", "Primary"]]

    def give_quorum(self) -> None:
        """By hand, as the operator of what is left of a cluster does."""
        execute_elsewhere(self.url(), "SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'")


class Galera:
    def __init__(self, first: GaleraNode, second: GaleraNode) -> None:
        self.first = first
        self.second = second
        self._databases = 0

    def new_database(self) -> str:
        """Creates an empty database, on both; returns its name."""
        self._databases += 1
        name = f"test_{self._databases}"
        execute_elsewhere(self.first.url(), f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def catch_up(self) -> None:
        """Waits until the second node has applied what the first one has committed."""
        execute_elsewhere(self.second.url(), "SET SESSION wsrep_sync_wait = 1; SELECT 1")


class Lag:
    """Makes the second node late."""

    def __init__(self, galera: Galera) -> None:
        self._url = galera.first.url("lag")
        table = "CREATE TABLE IF NOT EXISTS ballast (id INT PRIMARY KEY, n INT NOT NULL)"
        rows = "INSERT IGNORE INTO ballast SELECT seq, 0 FROM seq_1_to_200000"
        execute_elsewhere(galera.first.url(), "CREATE DATABASE IF NOT EXISTS lag")
        execute_elsewhere(self._url, f"{table}; {rows}")
        galera.catch_up()
        self._database = Database(self._url)

    async def begin(self, rows: int = SHORT) -> None:
        """What the first node commits from now on arrives late at the second one."""
        update = text("UPDATE ballast SET n = n + 1 WHERE id <= :rows")
        await self._database.write(lambda connection: connection.execute(update, {"rows": rows}))

    async def keep_up(self) -> None:
        """Lets the second node be late all the time, until cancelled."""
        while True:
            await self.begin()

    async def close(self) -> None:
        await self._database.close()


@asynccontextmanager
async def two_databases(
    galera: Galera, components: Sequence[Revisions] = (), *, waits: bool = False
) -> AsyncIterator[tuple[Database, Database]]:
    """One new database with its tables, as two processes have it that are connected to a node each."""
    name = galera.new_database()
    first, second = (Database(node.url(name, waits=waits)) for node in (galera.first, galera.second))
    try:
        await migrate(first, components)
        await asyncio.to_thread(galera.catch_up)
        yield first, second
    finally:
        await first.close()
        await second.close()


def provider() -> str:
    """The library that Debian's package galera-4 puts somewhere."""
    listed = subprocess.run(["dpkg", "-L", "galera-4"], check=True, capture_output=True, text=True)
    return next(line for line in listed.stdout.splitlines() if line.endswith("libgalera_smm.so"))


@contextmanager
def running_galera(options: Sequence[str] = ()) -> Iterator[Galera]:
    """The second node begins as a copy of the first, so that nothing has to be sent to it. `options`: more of the servers'."""
    with tempfile.TemporaryDirectory(prefix="galera-") as name:
        folders = [Path(name) / "first", Path(name) / "second"]
        ports = [free_port(), free_port()]
        (folders[0] / "tmp").mkdir(parents=True)
        install = [
            program("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={folders[0] / 'data'}",
            f"--tmpdir={folders[0] / 'tmp'}",
            f"--user={getpass.getuser()}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        installed = subprocess.run(install, check=False, capture_output=True, text=True)
        assert installed.returncode == 0, installed.stdout + installed.stderr
        first, second = (
            GaleraNode(folder, peers=ports, cluster_port=port, options=options)
            for folder, port in zip(folders, ports, strict=True)
        )
        try:
            first.start(first=True)
            first.stop()
            shutil.copytree(folders[0], folders[1])
            for folder in (Path(name), folders[1], folders[1] / "data"):
                folder.chmod(0o777)  # rsync, started by root, writes there as nobody that the node may join
            first.start(first=True)
            second.start()
            yield Galera(first, second)
        finally:
            for node in (second, first):
                if node.process is not None:
                    node.process.kill()
