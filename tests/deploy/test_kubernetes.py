"""The manifests of Hathor and Bittensor against our own settings; and the Helm chart, which Helm itself renders, against all."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import dockerfile
from deploy.manifests import LEDGERS, container_of, documents, of_kind, variables
from deploy.tools import helm
from strongroom import __version__
from strongroom.bittensor.definition import LEDGER as BITTENSOR
from strongroom.core.environment import SettingsError
from strongroom.hathor.definition import LEDGER as HATHOR
from strongroom.settings import Settings, read_settings
from support.keys import KEY

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "strongroom"
SERVED = {
    "hathor": "hathor-wallet-service",
    "bittensor": "bittensor-wallet-service",
}


def settings(ledger: str, name: str, **secrets: str) -> Settings:
    """What the pod's process reads, with the Secret's values or these."""
    given = of_kind("Secret", ledger)["stringData"] | secrets
    made = container_of(of_kind("Deployment", ledger, name))
    read = dockerfile.environment(dockerfile.stage("service"), {}) | {
        variable: value if isinstance(value, str) else given[value[1]]
        for variable, value in variables(made).items()
    }
    return read_settings(read, (made["args"][1],), serves_ledgers=made["args"][0] == "serve")


def test_hathors_pods_share_what_they_must() -> None:
    secret = "a secret of tokens that is as long as it has to be"
    name = SERVED["hathor"]
    api, daemon = (
        settings("hathor", one, AUTH_SECRET=secret, DB_PASS="p@ss/word").of(HATHOR)
        for one in (name, f"{name}-daemon")
    )
    assert api is not None
    assert daemon is not None
    assert api.database == daemon.database
    assert api.node_url == daemon.node_url
    assert ([one.reveal() for one in api.api.auth_secrets], daemon.api.auth_secrets) == ([secret], ())
    ports = {
        port["name"]: port["containerPort"]
        for port in container_of(of_kind("Deployment", "hathor", name))["ports"]
    }
    assert ports == {"http": api.api.port, "websocket": api.sockets.port, "management": 8081}


def test_bittensors_pod_listens_for_tokens_alone() -> None:
    read = settings(
        "bittensor", SERVED["bittensor"], BITTENSOR_KEY_ENCRYPTION_KEY=KEY, BITTENSOR_DB_PASSWORD="p@ss/word"
    )
    bittensor = read.of(BITTENSOR)
    assert bittensor is not None
    assert bittensor.network.name == "FINNEY"
    assert bittensor.service_token is None
    assert bittensor.database.password == "p@ss/word"
    assert bittensor.key.given is not None
    ports = {
        port["name"]: port["containerPort"]
        for port in container_of(of_kind("Deployment", "bittensor"))["ports"]
    }
    assert ports == {"http": bittensor.port, "management": read.management_port}
    assert set(read.open_surfaces) == {"management"}


@pytest.mark.parametrize("ledger", ["hathor", "bittensor"])
def test_the_secret_as_it_is_published_opens_nothing(ledger: str) -> None:
    with pytest.raises(SettingsError):
        settings(ledger, SERVED[ledger])


def rendered(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [helm(), "template", "release", CHART, *arguments], check=False, capture_output=True, text=True
    )


def secrets_of(ledger: str) -> list[str]:
    values = of_kind("Secret", ledger)["stringData"]
    sets = {f"ledgers.{ledger}.secrets.{name}": value for name, value in values.items()}
    return [word for path, value in sets.items() for word in ("--set-json", f"{path}={json.dumps(value)}")]


def normal(value: Any) -> Any:
    """Lists of things with names, in the order of the names: of variables and ports Kubernetes knows no order."""
    if isinstance(value, dict):
        return {key: normal(each) for key, each in value.items()}
    if isinstance(value, list):
        each = [normal(one) for one in value]
        return (
            sorted(each, key=lambda one: str(one.get("name", one.get("port")))) if _has_names(each) else each
        )
    return value


def _has_names(values: list[Any]) -> bool:
    return all(isinstance(one, dict) and ("name" in one or "port" in one) for one in values)


def by_identity(found: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    return {(one["kind"], one["metadata"]["name"]): normal(one) for one in found}


@pytest.mark.parametrize("ledger", LEDGERS)
def test_the_chart_renders_the_manifests(ledger: str) -> None:
    done = rendered("--set", f"ledgers.{ledger}.enabled=true", *secrets_of(ledger))
    assert done.returncode == 0, done.stderr
    found = [document for document in yaml.safe_load_all(done.stdout) if document]
    assert by_identity(found) == by_identity(documents(ledger))


def test_the_chart_lets_an_operator_say_otherwise() -> None:
    done = rendered(
        *("--set", "ledgers.atto.enabled=true", "--set", "ledgers.atto.existingSecret=mine"),
        *(
            "--set",
            "ledgers.atto.variables.NODE_BASE_URL=http://other:1",
            "--set",
            "image.repository=registry/ours",
        ),
        *("--set", "ledgers.atto.processes.api.replicas=3", "--set", "nodeSelector.disk=fast"),
        *("--set-string", "ledgers.atto.variables.ATTO_REQUIRE_TOKEN=true"),
    )
    assert done.returncode == 0, done.stderr
    found = {one["kind"]: one for one in yaml.safe_load_all(done.stdout) if one}
    assert "Secret" not in found
    deployment = found["Deployment"]
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "fast"}
    made = container_of(deployment)
    assert made["image"] == f"registry/ours:{__version__}"
    told = variables(made)
    assert told["NODE_BASE_URL"] == "http://other:1"
    assert told["ATTO_REQUIRE_TOKEN"] == "true"
    assert told["ATTO_DB_PASSWORD"] == ("mine", "ATTO_DB_PASSWORD")


def test_the_chart_makes_no_secret_without_its_values() -> None:
    done = rendered("--set", "ledgers.bittensor.enabled=true")
    assert done.returncode != 0
    assert re.search(r"ledgers\.bittensor\.secrets\.BITTENSOR_\w+ is required", done.stderr)


def test_helm_finds_no_fault_with_the_chart() -> None:
    enabled = [
        word
        for ledger in LEDGERS
        for word in ("--set", f"ledgers.{ledger}.enabled=true", *secrets_of(ledger))
    ]
    done = subprocess.run(
        [helm(), "lint", "--strict", CHART, *enabled], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__
