"""Three nodes of MySQL with Group Replication on this machine, where `scripts/test-mysql` names MySQL's program."""

import getpass
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL

from strongroom.core.storage.database import mysql_url
from support.databases import execute_elsewhere
from support.mariadb import INIT_SQL, PASSWORD, USER, VOLATILE, mysql_program
from support.ports import free_port
from support.processes import Process

GROUP = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
NODES = 3
JOINED_S = 60.0
HASTY = (
    "--group-replication-member-expel-timeout=0",
    "--group-replication-unreachable-majority-timeout=0",
    "--group-replication-autorejoin-tries=0",
)
"""A node that is away is given up after five seconds, the least that the group waits."""


class GroupNode:
    """One server."""

    def __init__(self, folder: Path, number: int, *, multi_primary: bool) -> None:
        self._folder = folder
        self._number = number
        self._multi_primary = multi_primary
        self.port = free_port()
        self.process: Process | None = None

    def url(self, name: str = "") -> URL:
        return mysql_url(host="127.0.0.1", port=self.port, name=name, user=USER, password=PASSWORD)

    def install(self) -> None:
        (self._folder / "tmp").mkdir(parents=True)
        install = [_program(), "--no-defaults", "--initialize-insecure", *self._folders()]
        done = subprocess.run(install, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, seeds: list[int], *, joins: bool = False) -> None:
        """Starts the server; `seeds` are the ports of all. `joins`: it takes nobody before it is on its way into the group."""
        init = self._folder / "init.sql"
        init.write_text(f"SET sql_log_bin = 0;\n{INIT_SQL}SET sql_log_bin = 1;\n")
        multi, single = ("ON", "OFF") if self._multi_primary else ("OFF", "ON")
        consistency = "BEFORE" if self._multi_primary else "BEFORE_ON_PRIMARY_FAILOVER"
        plugins = Path(_program()).parent / "root/usr/lib/mysql/plugin"
        arguments = [
            _program(),
            "--no-defaults",
            *self._folders(),
            f"--init-file={init}",
            f"--socket={self._folder / 'server.sock'}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--mysqlx=OFF",
            "--secure-file-priv=NULL",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
            "--innodb-redo-log-capacity=64M",
            f"--server-id={self._number + 1}",
            "--gtid-mode=ON",
            "--enforce-gtid-consistency=ON",
            "--sync-binlog=0",
            VOLATILE[0],
            f"--plugin-dir={plugins}",
            "--plugin-load-add=group_replication.so",
            "--report-host=127.0.0.1",
            f"--report-port={self.port}",
            f"--group-replication-group-name={GROUP}",
            f"--group-replication-start-on-boot={'ON' if joins else 'OFF'}",
            "--group-replication-communication-stack=MYSQL",
            f"--group-replication-local-address=127.0.0.1:{self.port}",
            f"--group-replication-group-seeds={','.join(f'127.0.0.1:{port}' for port in seeds)}",
            "--group-replication-recovery-get-public-key=ON",
            "--group-replication-ip-allowlist=127.0.0.1/8",
            f"--group-replication-single-primary-mode={single}",
            f"--group-replication-enforce-update-everywhere-checks={multi}",
            f"--group-replication-consistency={consistency}",
            *HASTY,
        ]
        self.process = Process(arguments)
        try:
            self.process.wait_for(f"port: {self.port}", JOINED_S)
        except BaseException:
            self.process.kill()
            raise

    def join(self, *, first: bool = False) -> None:
        """`first`: it begins the group."""
        self.execute(
            f"CHANGE REPLICATION SOURCE TO SOURCE_USER = '{USER}', SOURCE_PASSWORD = '{PASSWORD}'"
            " FOR CHANNEL 'group_replication_recovery'"
        )
        if first:
            self.execute("SET GLOBAL group_replication_bootstrap_group = ON")
        self.execute("START GROUP_REPLICATION")
        if first:
            self.execute("SET GLOBAL group_replication_bootstrap_group = OFF")
        self.wait_online()

    def wait_online(self) -> None:
        end_s = time.monotonic() + JOINED_S
        while self._state() != [["ONLINE"]]:
            assert time.monotonic() < end_s, "it does not get online"
            time.sleep(0.1)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()

    def execute(self, statements: str) -> list[list[str]]:
        return execute_elsewhere(self.url(), statements)

    def _state(self) -> list[list[str]]:
        members = "performance_schema.replication_group_members"
        return self.execute(f"SELECT MEMBER_STATE FROM {members} WHERE MEMBER_ID = @@server_uuid")  # noqa: S608 - a name of ours

    def _folders(self) -> list[str]:
        return [
            f"--datadir={self._folder / 'data'}",
            f"--tmpdir={self._folder / 'tmp'}",
            f"--user={getpass.getuser()}",
        ]


class Group:
    def __init__(self, nodes: list[GroupNode], *, multi_primary: bool) -> None:
        self.nodes = nodes
        self.multi_primary = multi_primary
        self._databases = 0

    def new_database(self) -> tuple[URL, URL]:
        """An empty database, as each of two processes is connected to it: over two primaries, or both over the only one."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.nodes[0].execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        other = self.nodes[1 if self.multi_primary else 0]
        if self.multi_primary:
            other.execute("SET SESSION group_replication_consistency = 'BEFORE'; SELECT 1")
        return self.nodes[0].url(name), other.url(name)

    def come_back(self, number: int) -> None:
        """A node that was killed starts again and joins the others. Outside the group it would take writes that no other node has."""
        self.nodes[number].start([node.port for node in self.nodes], joins=True)
        self.nodes[number].wait_online()


def _program() -> str:
    found = mysql_program()
    assert found is not None, "only scripts/test-mysql has MySQL"
    return found


@contextmanager
def running_group(*, multi_primary: bool) -> Iterator[Group]:
    with tempfile.TemporaryDirectory(prefix="group-") as name:
        nodes = [
            GroupNode(Path(name) / str(number), number, multi_primary=multi_primary)
            for number in range(NODES)
        ]
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(GroupNode.install, nodes))
            for number, node in enumerate(nodes):
                node.start([each.port for each in nodes])
                node.join(first=number == 0)
            yield Group(nodes, multi_primary=multi_primary)
        finally:
            for node in nodes:
                if node.process is not None:
                    node.process.kill()
