"""AWS KMS as moto's server plays it, in a process of its own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session

from support.ports import free_port
from support.processes import Process

REGION = "eu-central-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Those of AWS's own documentation; and nobody asks the network for others."""


class Moto:
    """A running server. It keeps its keys in memory."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = Path(sys.executable).with_name("moto_server")
        self._process = Process([str(command), "-H", "127.0.0.1", "-p", str(self.port)])
        try:
            self._process.wait_for("Running on")
        except BaseException:
            self._process.kill()
            raise
        self.client = self._client()

    def _client(self) -> Any:
        return botocore.session.Session().create_client(
            "kms",
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="administrator",
            aws_secret_access_key="administrator",
        )

    def new_key(self) -> str:
        """The ARN of a new key."""
        arn: str = self.client.create_key()["KeyMetadata"]["Arn"]
        return arn

    def stop(self) -> None:
        self.client.close()
        self._process.kill()

    def pause(self) -> None:
        """It accepts connections, and never answers."""
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    def variables(self) -> dict[str, str]:
        """What a service needs to use a key."""
        return {"AWS_ENDPOINT_URL_KMS": self.url, **CREDENTIALS}


@contextmanager
def running_moto() -> Iterator[Moto]:
    server = Moto()
    try:
        yield server
    finally:
        server.stop()
