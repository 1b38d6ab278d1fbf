"""What an operator gets wrong is said in lines that name what to change, never in a traceback."""

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from commands.conftest import Installation, run
from support.ports import own_ports

GOOD = {"NETWORK": "local", "NODE_BASE_URL": "http://127.0.0.1:9"}


def test_every_mistake_of_the_settings_is_reported_at_once(tmp_path: Path) -> None:
    variables = {
        "STRONGROOM_DATA": str(tmp_path),
        "STRONGROOM_HOST": "0.0.0.0",  # noqa: S104 - refused, so nothing binds
        "LOG_LEVEL": "loud",
        "NETWORK": "moon",
        "NODE_BASE_URL": "node",
        # What Kubernetes puts in for a service called `atto`.
        "ATTO_PORT": "http://10.0.0.1:8080",
        "CHA_CHA20_KEY_ENCRYPTION_KEY": "put 64 hex digits here",
    }
    ended = run("serve", variables=variables)
    assert ended.status == 2
    assert ended.stdout == []
    assert [line.removeprefix("strongroom: ") for line in ended.stderr] == [
        "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, not 'LOUD'",
        "NODE_BASE_URL must be an http or https URL, not 'node'",
        "NETWORK: Unknown network, expected LIVE, BETA, DEV or LOCAL",
        "ATTO_PORT: must be a whole number, not 'http://10.0.0.1:8080'",
        "CHA_CHA20_KEY_ENCRYPTION_KEY: the key-encryption key must be 64 hex digits",
        (
            "STRONGROOM_HOST=0.0.0.0 would let the network reach the atto surface without authentication. If that is"
            " wanted, add atto to STRONGROOM_ALLOW_UNAUTHENTICATED, or require tokens (ATTO_REQUIRE_TOKEN=true)"
        ),
        (
            "STRONGROOM_HOST=0.0.0.0 would let the network reach the management surface without authentication. If that"
            " is wanted, add management to STRONGROOM_ALLOW_UNAUTHENTICATED"
        ),
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["migrate"], ["token", "list"]])
def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path, command: list[str]) -> None:
    variables = GOOD | {
        "STRONGROOM_DATA": str(tmp_path),
        "MANAGEMENT_PORT": "0",
        "ATTO_DB_HOST": "127.0.0.1",
        "ATTO_DB_PORT": "9",
        "ATTO_DB_PASSWORD": "of-the-database",
    }
    ended = run(*command, variables=variables)
    assert ended.status == 1
    line = next(line for line in ended.stderr if line.startswith("strongroom: "))
    assert "The database mysql+asyncmy://root:***@127.0.0.1:9/atto" in line
    assert "Can't connect to MySQL server" in line
    assert not any("of-the-database" in line for line in ended.stderr)


def test_a_port_in_use_is_named_with_its_surface(installation: Installation) -> None:
    ended = installation.run("serve", "--sandbox")
    port = installation.variables["MANAGEMENT_PORT"]
    assert (ended.status, ended.stderr) == (
        1,
        [
            (
                f"strongroom: management cannot listen on 127.0.0.1:{port}: Address already in use."
                " Set another port with MANAGEMENT_PORT"
            )
        ],
    )


@pytest.mark.parametrize("variable", sorted(own_ports()))
def test_the_variable_that_moves_a_port_is_named(tmp_path: Path, variable: str) -> None:
    ports = own_ports()
    with socket.create_server(("127.0.0.1", int(ports[variable]))):
        ended = run("serve", "--sandbox", variables=ports | {"STRONGROOM_DATA": str(tmp_path)})
    assert ended.status == 1
    assert ended.stderr[-1].endswith(f": Address already in use. Set another port with {variable}")


def test_migrate_says_which_database_it_brought_up_to_date(tmp_path: Path) -> None:
    ended = run("migrate", variables=GOOD | {"STRONGROOM_DATA": str(tmp_path)})
    assert (ended.status, ended.stdout) == (0, [f"sqlite:///{tmp_path}/atto.sqlite3 is up to date"])


@pytest.mark.parametrize(
    ("arguments", "variables", "reason"),
    [
        (("payments", "--wallet", "\udcff"), {}, r"argument 3 has bytes that are no UTF-8: '\udcff'"),
        (("backup", "/nowhere/\udcff"), {}, r"argument 2 has bytes that are no UTF-8: '/nowhere/\udcff'"),
        (("payments",), {"AUTH_SECRET": "\udcff" * 32}, "AUTH_SECRET has bytes that are no UTF-8"),
        (("doctor",), {"STRONGROOM_DATA": "/\udcff"}, "STRONGROOM_DATA has bytes that are no UTF-8"),
    ],
)
def test_bytes_that_are_no_text_are_refused(
    tmp_path: Path, arguments: Sequence[str], variables: dict[str, str], reason: str
) -> None:
    own = {"STRONGROOM_DATA": str(tmp_path), "DEFAULT_SERVER": "http://127.0.0.1:9", "NETWORK": "mainnet"}
    ended = run(*arguments, variables=own | variables)
    assert ended.status == 2
    assert f"strongroom: {reason}" in ended.stderr


def test_an_unknown_ledger_is_refused_with_those_there_are() -> None:
    ended = run("serve", "doge", variables={})
    assert (ended.status, ended.stderr) == (
        2,
        ["strongroom: unknown ledger doge; there is atto, hathor, bittensor"],
    )
