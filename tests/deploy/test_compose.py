"""Every compose file: it keeps to the specification, what it names is there, and what it sets is taken."""

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from deploy import compose, dockerfile
from deploy.tools import docker_compose
from strongroom.atto.definition import LEDGER as ATTO
from strongroom.bittensor.definition import LEDGER as BITTENSOR
from strongroom.hathor.definition import LEDGER as HATHOR
from strongroom.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "tests" / "vectors" / "compose" / "compose-spec.json").read_text())
NODES = {
    "NODE_BASE_URL": "http://node:8080",
    "WORK_BASE_URL": "http://work-server:8080",
    "DEFAULT_SERVER": "http://hathor-node:8080/v1a/",
}
ALL = [*compose.FILES, ROOT / "docker-compose.yml"]
OURS = {"strongroom", "strongroom-${WALLET_SERVICE_TARGET:-sandbox}", "strongroom-node"}
files = pytest.mark.parametrize("file", ALL, ids=lambda path: str(path.relative_to(ROOT)))


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """As the comments at the top of the files make them."""
    for name in ("atto_key", "bittensor_key", "auth_secret", "database"):
        path = tmp_path / name
        path.write_text(f"{os.urandom(32).hex()}\n")
        path.chmod(0o400)
    return tmp_path


def settings(file: str, service: str, secrets: Path, ledgers: tuple[str, ...] = ()) -> Settings:
    read = compose.variables(compose.read(file)["services"][service], secrets, NODES)
    return read_settings(read, ledgers)


@files
def test_every_file_keeps_to_the_specification(file: Path) -> None:
    document = yaml.safe_load(file.read_text())
    Draft202012Validator(SCHEMA).validate(document)
    document["servises"] = {}
    with pytest.raises(ValidationError):
        Draft202012Validator(SCHEMA).validate(document)


@files
def test_our_containers_may_do_nothing_but_their_work(file: Path) -> None:
    document = compose.read(file.name) if file.parent == compose.FOLDER else yaml.safe_load(file.read_text())
    services = document["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= set(services), name
        assert set(service.get("secrets", ())) <= set(document.get("secrets", ())), name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name} is published to everybody"
        if service["image"] in OURS:
            assert service["read_only"] is True, name
            assert service["stop_grace_period"] == "30s", name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name


def test_secrets_stay_out_of_git() -> None:
    ignored = (compose.FOLDER / ".gitignore").read_text().split()
    for file in compose.FILES:
        for secret in compose.read(file.name).get("secrets", {}).values():
            assert secret["file"].startswith(tuple(ignored))


def test_the_container_runs_as_a_user_who_can_read_what_the_comments_prepare() -> None:
    (user,) = dockerfile.arguments(dockerfile.stage("service"), "USER")
    for name in ("atto.yml", "hathor.yml", "all.yml"):
        head = (compose.FOLDER / name).read_text().partition("\nname:")[0]
        assert f"chown {user} secrets/* && chmod 0400 secrets/*" in head


def test_atto_starts_as_the_original_did(secrets: Path) -> None:
    file = compose.read("atto.yml")
    assert compose.required(file) == {"NODE_BASE_URL", "WORK_BASE_URL"}
    read = settings("atto.yml", "wallet-server", secrets, ("atto",))
    atto = read.of(ATTO)
    assert atto is not None
    assert (atto.network.name, atto.port, atto.require_token) == ("LIVE", 8080, False)
    assert (atto.node_url, atto.work_url) == (NODES["NODE_BASE_URL"], NODES["WORK_BASE_URL"])
    assert atto.database.host in file["services"]
    assert atto.database.password == (secrets / "database").read_text().strip()
    server = file["services"]["database"]["environment"]
    assert compose.given(server["MARIADB_DATABASE"], {}) == atto.database.database
    assert compose.given(server["MARIADB_USER"], {}) == atto.database.username
    assert atto.key.given is not None
    assert atto.key.given.reveal() == (secrets / "atto_key").read_text().strip()


def test_a_key_that_others_could_read_is_refused(secrets: Path) -> None:
    """Which is why the comments say who owns it."""
    (secrets / "atto_key").chmod(0o444)
    assert stat.S_IMODE((secrets / "atto_key").stat().st_mode) == 0o444
    with pytest.raises(Exception, match="atto_key"):
        settings("atto.yml", "wallet-server", secrets, ("atto",))


def test_everything_is_one_process_with_a_database_for_each_ledger(secrets: Path) -> None:
    file = compose.read("all.yml")
    read = settings("all.yml", "strongroom", secrets)
    atto, hathor, bittensor = read.of(ATTO), read.of(HATHOR), read.of(BITTENSOR)
    assert atto is not None
    assert hathor is not None
    assert bittensor is not None
    made = file["configs"]["databases"]["content"]
    for database in (atto.database, hathor.database, bittensor.database):
        assert database.host == "database"
        assert f"CREATE DATABASE {database.database}" in made.replace("`", "")
        assert database.username == file["services"]["database"]["environment"]["MARIADB_USER"]
    published = {port.rpartition(":")[2] for port in file["services"]["strongroom"]["ports"]}
    own = {read.management_port, atto.port, hathor.api.port, hathor.sockets.port, bittensor.port, 8088}
    assert {int(port) for port in published} == own
    assert len(hathor.api.auth_secrets) == 1


def test_prometheus_asks_where_the_metrics_are(secrets: Path) -> None:
    file = compose.read("all.yml")
    (job,) = yaml.safe_load(file["configs"]["prometheus"]["content"])["scrape_configs"]
    assert job["metrics_path"] == "/prometheus"
    (targets,) = [one["targets"] for one in job["static_configs"]]
    read = settings("all.yml", "strongroom", secrets)
    assert targets == [f"strongroom:{read.management_port}"]
    assert job["job_name"] == "strongroom", "the alerts and dashboards ask for this name"
    assert "strongroom" in {one.name for one in read.callers.hosts}


def test_what_is_mounted_is_there() -> None:
    mounted = [
        volume.split(":")[0]
        for file in compose.FILES
        for service in compose.read(file.name)["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith(".")
    ]
    assert {(compose.FOLDER / path).resolve().relative_to(ROOT).parts[:2] for path in mounted} == {
        ("deploy", "monitoring")
    }
    assert all((compose.FOLDER / path).exists() for path in mounted)


@pytest.mark.slow
def test_compose_itself_reads_every_file() -> None:
    """Debian's docker-compose, which needs no engine to read a file."""
    program = docker_compose()
    for file in ALL:
        found: dict[str, Any] = json.loads(
            subprocess.run(
                [program, "--file", file, "config", "--format", "json"],
                env=NODES | {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/root")},
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        own = compose.read(file.name) if file.parent == compose.FOLDER else yaml.safe_load(file.read_text())
        assert set(found["services"]) == set(own["services"])
