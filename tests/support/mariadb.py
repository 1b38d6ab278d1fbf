"""A private MariaDB server in a temporary folder, or one of MySQL where `scripts/test-mysql` names its program."""

import getpass
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL

from strongroom.core.storage.database import mysql_url
from support.databases import execute_elsewhere
from support.ports import free_port
from support.processes import Process
from support.programs import program

USER = "strongroom"
PASSWORD = "only-for-tests"
INIT_SQL = f"""\
CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON *.* TO '{USER}'@'%';
"""  # one statement a line, or the server runs none
MYSQL_PROGRAM = "STRONGROOM_TEST_MYSQLD"
"""The variable with MySQL's `mysqld`: set, every test that asks for MariaDB gets MySQL."""
MYSQL = (
    "--mysqlx=OFF",
    "--secure-file-priv=NULL",
    "--skip-name-resolve",
    "--performance-schema=OFF",
    "--innodb-fast-shutdown=2",
    "--innodb-file-per-table=0",
    "--innodb-redo-log-capacity=64M",
    "--disable-log-bin",
)
FAST = (
    "--skip-name-resolve",
    "--performance-schema=OFF",
    "--innodb-fast-shutdown=3",
    "--innodb-file-per-table=0",  # a schema of thirty tables takes a tenth of the room, and less time
)
# Survives a kill of the server, not a power cut.
VOLATILE = (
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=OFF",
)


class MariaDB:
    """A running server; every test gets its own database in it."""

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool,
        memory_mib: int,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._options = (*([] if durable else VOLATILE), *options)
        self._environment = environment
        self._memory_mib = memory_mib
        self._databases = 0
        self.port = free_port()
        self._process = self._start()

    def new_database(self, *, charset: str = "utf8mb4") -> URL:
        """Creates an empty database."""
        self._databases += 1
        name = f"test_{self._databases}"
        execute_elsewhere(self.url(), f"CREATE DATABASE {name} CHARACTER SET {charset}")
        return self.url(name)

    def url(self, name: str = "") -> URL:
        return mysql_url(host="127.0.0.1", port=self.port, name=name, user=USER, password=PASSWORD)

    def restart(self) -> None:
        """Kills the server as a power cut would and starts it again on the same port."""
        self.kill()
        self.start()

    @property
    def is_running(self) -> bool:
        return self._process.running

    def kill(self) -> None:
        self._process.kill()

    def start(self) -> None:
        """Starts it again, on the same port."""
        self._process = self._start()

    def stop(self) -> None:
        self._process.terminate()

    def pause(self) -> None:
        """Its connections stay open, and nothing comes over them."""
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    def _start(self) -> Process:
        (self._folder / "init.sql").write_text(INIT_SQL)
        mysqld = mysql_program()
        engine = (
            [f"--innodb-log-file-size={max(16, self._memory_mib // 4)}M", *FAST] if mysqld is None else MYSQL
        )
        process = Process(
            [
                mysqld or program("mariadbd"),
                "--no-defaults",
                *_folders(self._folder),
                f"--init-file={self._folder / 'init.sql'}",
                f"--socket={self._folder / 'server.sock'}",
                "--skip-networking=0",
                "--bind-address=127.0.0.1",
                f"--port={self.port}",
                f"--innodb-buffer-pool-size={self._memory_mib}M",
                *engine,
                *self._options,
            ],
            environment=self._environment,
        )
        try:
            # MySQL says so of its temporary server and of its plugins as well: the port is in the line of the real one.
            process.wait_for("ready for connections" if mysqld is None else f"port: {self.port}")
        except BaseException:
            process.kill()
            raise
        return process


def _folders(folder: Path) -> list[str]:
    """A server that starts deletes the temporary tables it finds, also those of one that shares the folder."""
    return [
        f"--datadir={folder / 'data'}",
        f"--tmpdir={folder / 'tmp'}",
        f"--user={getpass.getuser()}",
    ]


def mysql_program() -> str | None:
    """MySQL's server where tests shall run on it; None: they run on MariaDB."""
    return os.environ.get(MYSQL_PROGRAM) or None


def _install(folder: Path) -> list[str]:
    """The command that makes an empty data folder."""
    mysqld = mysql_program()
    if mysqld is not None:
        return [mysqld, "--no-defaults", "--initialize-insecure", *_folders(folder)]
    return [
        program("mariadb-install-db"),
        "--no-defaults",
        *_folders(folder),
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]


@contextmanager
def running_mariadb(
    *,
    durable: bool = False,
    memory_mib: int = 64,
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[MariaDB]:
    """`durable`: each commit reaches the disk, as in production; costs time. `options` and `environment`: more of the server's."""
    with tempfile.TemporaryDirectory(prefix="mariadb-") as name:
        folder = Path(name)
        (folder / "tmp").mkdir()
        install = _install(folder)
        installed = subprocess.run(install, check=False, capture_output=True, text=True)
        assert installed.returncode == 0, installed.stdout + installed.stderr
        server = MariaDB(
            folder, durable=durable, memory_mib=memory_mib, options=options, environment=environment
        )
        try:
            yield server
        finally:
            server.stop()
