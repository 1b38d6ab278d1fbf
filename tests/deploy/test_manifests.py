"""The manifests against Kubernetes' schemas, the published example of the Atto Wallet Server, and our own settings."""

from typing import Any

import kubernetes_validate
import pytest

from deploy import dockerfile
from deploy.manifests import LEDGERS, container, container_of, documents, of_kind, pod_of, variables
from strongroom.atto.definition import LEDGER
from strongroom.core.environment import SettingsError
from strongroom.settings import read_settings
from support.keys import KEY

KUBERNETES = ("1.29", "1.37")  # an old one that many still run, and the newest whose schemas there are

# The example's own words, in docs/wallet-server of the Atto project. Its probes ask for a port `http-mgmt` that its
# container does not have; `management` is meant.
EXAMPLE_VARIABLES: dict[str, str | tuple[str, str]] = {
    "ATTO_DB_HOST": "wallet-server-mysql-service",
    "ATTO_DB_NAME": "wallet-server",
    "ATTO_DB_USER": "root",
    "ATTO_DB_PASSWORD": ("wallet-server-secrets", "ATTO_DB_PASSWORD"),
    "NETWORK": "live",
    "CHA_CHA20_KEY_ENCRYPTION_KEY": ("wallet-server-secrets", "CHA_CHA20_KEY_ENCRYPTION_KEY"),
    "NODE_BASE_URL": "http://node-service:8080",
    "WORK_BASE_URL": "http://work-server-service:8080",
}
EXAMPLE_PORTS = [{"name": "http", "containerPort": 8080}, {"name": "management", "containerPort": 8081}]
EXAMPLE_RESOURCES = {
    "requests": {"cpu": "0.5", "memory": "512Mi"},
    "limits": {"cpu": "1", "memory": "1Gi"},
}
ALIVE = {"path": "/health/liveness", "port": "management"}
READY = {"path": "/health/readiness", "port": "management"}
EXAMPLE_PROBES = {
    "startupProbe": {"httpGet": ALIVE, "failureThreshold": 30, "periodSeconds": 10},
    "livenessProbe": {"httpGet": ALIVE, "failureThreshold": 3, "periodSeconds": 20},
    "readinessProbe": {"httpGet": READY, "initialDelaySeconds": 5, "periodSeconds": 10},
}
LABELS = {"app": "wallet-server"}


def environment(**secrets: str) -> dict[str, str]:
    """What the process sees: ENV of the image, then the manifest, with the Secret's values or these."""
    given = of_kind("Secret")["stringData"] | secrets
    image = dockerfile.environment(dockerfile.stage("service"), {})
    return image | {
        name: value if isinstance(value, str) else given[value[1]]
        for name, value in variables(container()).items()
    }


EVERY = [(ledger, document) for ledger in LEDGERS for document in documents(ledger)]
DEPLOYMENTS = [document for _ledger, document in EVERY if document["kind"] == "Deployment"]


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize(
    "document",
    [document for _ledger, document in EVERY],
    ids=lambda one: f"{one['metadata']['name']}-{one['kind']}",
)
def test_every_manifest_is_valid(document: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_a_manifest_with_a_wrong_field_would_be_noticed() -> None:
    deployment = of_kind("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES[-1], strict=True)


def test_the_deployment_means_what_the_published_example_means() -> None:
    deployment = of_kind("Deployment")
    assert deployment["metadata"] == {"name": "wallet-server", "labels": LABELS}
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["selector"] == {"matchLabels": LABELS}
    assert deployment["spec"]["template"]["metadata"] == {"labels": LABELS}
    made = container()
    assert made["name"] == "wallet-server"
    assert made["imagePullPolicy"] == "IfNotPresent"
    assert made["ports"] == EXAMPLE_PORTS
    assert made["resources"] == EXAMPLE_RESOURCES
    assert {name: made[name] for name in EXAMPLE_PROBES} == EXAMPLE_PROBES
    ours = {"STRONGROOM_ALLOW_UNAUTHENTICATED": "atto,management", "STRONGROOM_DRAIN_S": "10"}
    assert variables(container()) == EXAMPLE_VARIABLES | ours


def test_the_secret_has_the_keys_that_the_deployment_asks_for() -> None:
    secret = of_kind("Secret")
    references = {value for value in variables(container()).values() if isinstance(value, tuple)}
    assert references == {(secret["metadata"]["name"], key) for key in secret["stringData"]}
    assert secret["type"] == "Opaque"


by_name = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: str(one["metadata"]["name"]))


@by_name
def test_the_pod_may_do_nothing_but_its_work(deployment: dict[str, Any]) -> None:
    spec, made = pod_of(deployment), container_of(deployment)
    assert spec["enableServiceLinks"] is False
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert made["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    (mount,), (volume,) = made["volumeMounts"], spec["volumes"]
    assert mount == {"name": volume["name"], "mountPath": environment()["STRONGROOM_DATA"]}


@by_name
def test_the_pod_is_probed_and_ends_as_the_examples_does(deployment: dict[str, Any]) -> None:
    made = container_of(deployment)
    assert {name: made[name] for name in EXAMPLE_PROBES} == EXAMPLE_PROBES
    assert made["resources"] == EXAMPLE_RESOURCES
    assert "management" in {port["name"] for port in made["ports"]}
    told = variables(made).get("STRONGROOM_DRAIN_S", "0")
    assert isinstance(told, str)
    assert (told != "0") == (made["args"][0] == "serve")
    assert pod_of(deployment)["terminationGracePeriodSeconds"] >= int(told) + 30


@pytest.mark.parametrize("ledger", LEDGERS)
def test_only_pods_of_the_cluster_reach_the_ports_of_a_deployment(ledger: str) -> None:
    kinds = [document["kind"] for document in documents(ledger)]
    assert kinds.count("Deployment") == kinds.count("NetworkPolicy")
    assert kinds.count("Service") == kinds.count("PodDisruptionBudget") == 1
    for deployment in (one for one in documents(ledger) if one["kind"] == "Deployment"):
        name = deployment["metadata"]["name"]
        labels = {"app": name}
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        assert deployment["spec"]["template"]["metadata"]["labels"] == labels
        ports = {port["name"]: port["containerPort"] for port in container_of(deployment)["ports"]}
        policy = of_kind("NetworkPolicy", ledger, name)["spec"]
        assert policy["podSelector"]["matchLabels"] == labels
        assert policy["policyTypes"] == ["Ingress"]
        (rule,) = policy["ingress"]
        assert rule["from"] == [{"namespaceSelector": {}}]
        assert {port["port"] for port in rule["ports"]} == set(ports)
    service = of_kind("Service", ledger)
    served = of_kind("Deployment", ledger, service["metadata"]["name"])
    assert service["spec"]["type"] == "ClusterIP"
    assert service["spec"]["selector"] == served["spec"]["selector"]["matchLabels"]
    ports = {port["name"]: port["containerPort"] for port in container_of(served)["ports"]}
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == ports
    budget = of_kind("PodDisruptionBudget", ledger)["spec"]
    assert budget == {"maxUnavailable": 1, "selector": served["spec"]["selector"]}


def test_the_service_takes_the_settings_of_the_pod() -> None:
    key = KEY
    settings = read_settings(environment(CHA_CHA20_KEY_ENCRYPTION_KEY=key, ATTO_DB_PASSWORD="p@ss/word"))
    atto = settings.of(LEDGER)
    assert atto is not None
    assert (str(settings.data), settings.host, settings.management_port) == ("/data", "0.0.0.0", 8081)  # noqa: S104 - expected
    assert settings.log_as_json
    assert (atto.network.name, atto.port, atto.require_token) == ("LIVE", 8080, False)
    assert (atto.node_url, atto.work_url) == ("http://node-service:8080", "http://work-server-service:8080")
    assert atto.key.given is not None
    assert atto.key.given.reveal() == key
    database = atto.database
    assert (database.host, database.port, database.database) == (
        "wallet-server-mysql-service",
        3306,
        "wallet-server",
    )
    assert (database.username, database.password) == ("root", "p@ss/word")


def test_the_secret_as_it_is_published_opens_nothing() -> None:
    """Whoever applies the manifests unread gets a pod that says what to replace, not a key that everyone knows."""
    with pytest.raises(SettingsError) as refused:
        read_settings(environment())
    assert refused.value.mistakes == [
        "CHA_CHA20_KEY_ENCRYPTION_KEY: the key-encryption key must be 64 hex digits"
    ]


def test_the_pod_refuses_to_listen_openly_when_nobody_says_that_it_is_meant() -> None:
    without = environment(CHA_CHA20_KEY_ENCRYPTION_KEY=KEY)
    del without["STRONGROOM_ALLOW_UNAUTHENTICATED"]
    with pytest.raises(SettingsError) as refused:
        read_settings(without)
    assert [mistake.split(" would ")[0] for mistake in refused.value.mistakes] == [
        "STRONGROOM_HOST=0.0.0.0"
    ] * 2
