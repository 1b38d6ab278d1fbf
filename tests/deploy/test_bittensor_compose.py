"""The files for wallet service, miner and validator: what they name is there, and what they set is taken."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from deploy import compose, dockerfile
from strongroom.bittensor.definition import LEDGER
from strongroom.settings import read_settings

ROOT = Path(__file__).parents[2]
NODE = ROOT / "deploy" / "bittensor" / "node.Dockerfile"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
"""Where the document's `docker-compose up -d` is typed."""
SERVICES = COMPOSE["services"]


def variables(service: str, **environment: str) -> dict[str, str]:
    return {
        name: compose.given(str(value), environment)
        for name, value in SERVICES[service]["environment"].items()
    }


def test_the_services_are_those_of_the_document() -> None:
    assert set(SERVICES) == {"wallet-service", "miner", "validator"}


def test_it_starts_from_its_folder_too() -> None:
    (included,) = yaml.safe_load((compose.FOLDER / "bittensor.yml").read_text())["include"]
    assert (compose.FOLDER / included["path"]).resolve() == ROOT / "docker-compose.yml"
    assert (compose.FOLDER / included["project_directory"]).resolve() == ROOT


def test_the_service_takes_the_documents_variables(tmp_path: Path) -> None:
    document = {"network": "local", "netuid": "2", "chain_endpoint": "ws://127.0.0.1:9944"}
    settings = read_settings(
        variables("wallet-service", **document) | {"STRONGROOM_DATA": str(tmp_path)}, ("bittensor",)
    )
    assert settings.of(LEDGER) is not None
    assert settings.host == "127.0.0.1"
    assert SERVICES["wallet-service"]["command"] == ["serve", "bittensor", "--or-sandbox"]


def test_the_images_are_built_from_what_is_there() -> None:
    """Paths are relative to the compose file; what .dockerignore keeps out cannot be copied."""
    build = SERVICES["wallet-service"]["build"]
    assert (ROOT / build["context"] / "Dockerfile").is_file()
    assert (
        compose.given(build["target"], {}) == "sandbox"
    )  # `--or-sandbox` finds nothing to start in the service's own image
    assert dockerfile.stage("sandbox")
    assert dockerfile.stage("service")
    for node in ("miner", "validator"):
        build = SERVICES[node]["build"]
        assert (ROOT / build["context"] / build["dockerfile"]).resolve() == NODE
    allowed = [
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for line in NODE.read_text().splitlines():
        if line.startswith("COPY "):
            for source in line.split()[1:-1]:
                assert any(source == one or source.startswith(f"{one}/") for one in allowed), source


def test_nodes_see_the_service_and_no_wallet() -> None:
    for node in ("miner", "validator"):
        assert variables(node)["WALLET_SERVICE_URL"] == "http://localhost:8000"
        assert variables(node, WALLET_SERVICE_TOKEN="t")["WALLET_SERVICE_TOKEN"] == "t"
        assert not [volume for volume in SERVICES[node]["volumes"] if "wallets" in volume]
    mounts = SERVICES["wallet-service"]["volumes"]
    assert [mount for mount in mounts if mount.endswith(":/wallets:ro")]


def test_the_nodes_image_has_all_that_the_client_imports(tmp_path: Path) -> None:
    """The COPY lines, carried out: what they leave out would be missing here."""
    for line in NODE.read_text().splitlines():
        if line.startswith("COPY "):
            *sources, target = line.split()[1:]
            _copy(
                sources, tmp_path / target.removeprefix("/node").lstrip("/"), is_folder=target.endswith("/")
            )
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import strongroom.bittensor.client"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.glob("*.py")} == {
        "miner.py",
        "neuron.py",
        "subnet.py",
        "validator.py",
    }
    assert SERVICES["miner"]["command"] == ["miner.py"]
    assert SERVICES["validator"]["command"] == ["validator.py"]


def _copy(sources: list[str], target: Path, *, is_folder: bool) -> None:
    for pattern in sources:
        found = list(ROOT.glob(pattern))
        assert found, pattern
        for path in found:
            if path.is_dir():
                shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place = target / path.name if is_folder else target
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, place)
