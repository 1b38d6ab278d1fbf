"""The manifests under deploy/kubernetes."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2] / "deploy" / "kubernetes"
LEDGERS = ("atto", "hathor", "bittensor")


def documents(ledger: str = "atto") -> list[dict[str, Any]]:
    return [
        document
        for path in sorted((ROOT / ledger).glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]


def of_kind(kind: str, ledger: str = "atto", name: str | None = None) -> dict[str, Any]:
    (found,) = [
        document
        for document in documents(ledger)
        if document["kind"] == kind and name in {None, document["metadata"]["name"]}
    ]
    return found


def pod_of(deployment: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return found


def container_of(deployment: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod_of(deployment)["containers"]
    made: dict[str, Any] = found
    return made


def container() -> dict[str, Any]:
    """Atto's."""
    return container_of(of_kind("Deployment"))


def variables(made: dict[str, Any]) -> dict[str, str | tuple[str, str]]:
    """Each variable's value, or the Secret and the key that hold it."""
    found: dict[str, str | tuple[str, str]] = {}
    for variable in made["env"]:
        reference = variable.get("valueFrom", {}).get("secretKeyRef")
        found[variable["name"]] = (
            variable["value"] if reference is None else (reference["name"], reference["key"])
        )
    return found
