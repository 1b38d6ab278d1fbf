"""A real Prometheus under test, which reads running services and evaluates the project's own rules."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import yaml

from support.ports import free_port
from support.processes import Process
from support.waiting import until_true

Result = list[dict[str, Any]]


class Prometheus:
    """Asks it over its HTTP API."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def query(self, expression: str) -> Result:
        found: Result = self._get("query", {"query": expression})["result"]
        return found

    def alerts(self) -> Result:
        found: Result = self._get("alerts", {})["alerts"]
        return found

    def rules(self) -> Result:
        groups = self._get("rules", {})["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def eventually(self, holds: Callable[["Prometheus"], bool]) -> None:
        async def asked() -> bool:
            return holds(self)

        asyncio.run(until_true(asked))

    def _get(self, path: str, parameters: Mapping[str, str]) -> Any:
        answer = self._client.get(f"/api/v1/{path}", params=dict(parameters)).json()
        assert answer["status"] == "success", answer
        return answer["data"]


@contextmanager
def running_prometheus(folder: Path, configuration: Path, targets: Sequence[str]) -> Iterator[Prometheus]:
    """With the project's configuration, but for the targets, and once a second."""
    settings = yaml.safe_load(configuration.read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(configuration.parent / name) for name in settings["rule_files"]]
    settings["scrape_configs"][0]["static_configs"] = [{"targets": list(targets)}]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(settings))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (
        Process(command) as process,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False) as client,
    ):
        process.wait_for("Server is ready to receive web requests")
        yield Prometheus(client)
