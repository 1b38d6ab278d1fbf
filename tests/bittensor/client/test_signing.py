"""Messages are signed by the local hotkey while the service is away, and no longer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from strongroom.bittensor.client.breaker import Breaker
from strongroom.bittensor.client.service import Service, ServiceError
from strongroom.bittensor.client.signing import MessageSigner
from strongroom.bittensor.client.transport import Transport
from support.clock import ManualClock

ADDRESS = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"
BY_SERVICE, BY_LOCAL = b"\x01" * 64, b"\x02" * 64
KEY = SimpleNamespace(wallet_name="w", hotkey_name="default", ss58_address=ADDRESS, role="hotkey")


@contextmanager
def service(statuses: list[int]) -> Iterator[str]:
    """Answers with these statuses in turn, over real HTTP."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = f'{{"signature": "{BY_SERVICE.hex()}"}}'.encode()
            self.send_response(statuses.pop(0))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def local_wallet(folder: Path) -> Any:
    path = folder / "w" / "hotkeys" / "default"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    hotkey = SimpleNamespace(ss58_address=ADDRESS, sign=lambda _message: BY_LOCAL)
    return SimpleNamespace(path=str(folder), name="w", hotkey_str="default", hotkey=hotkey)


def test_a_service_that_is_back_is_asked_again_though_it_refuses_the_first(tmp_path: Path) -> None:
    clock = ManualClock()
    with service([503, 403, 200]) as url:
        signer = MessageSigner(
            Service(Transport(url, "token")), Breaker(clock, 60, url), local_wallet(tmp_path)
        )
        assert signer.sign(KEY, "1", "general") == BY_LOCAL
        assert signer.sign(KEY, "2", "general") == BY_LOCAL
        clock.advance(61)
        with pytest.raises(ServiceError):
            signer.sign(KEY, "3", "general")
        assert signer.sign(KEY, "4", "general") == BY_SERVICE
