"""docs/webhooks.md: its commands run as they stand, in their order, and a receiver verifies as it says."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from strongroom.core.webhooks.kinds import EVERY_LEDGER
from strongroom.registry import OWN

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
SCRIPT = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
(VERIFY,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
Request = tuple[dict[str, str], bytes]


@contextmanager
def receiver() -> Iterator[tuple[str, list[Request]]]:
    requests: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    with receiver() as (url, requests):
        script = SCRIPT.replace("https://shop.example", url)
        # The secret of the first block is what the receiver of its test has.
        script = script.replace(
            "strongroom webhook list", 'echo "secret $SECRET"\nstrongroom webhook list', 1
        )
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            env={
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
                "STRONGROOM_DATA": str(tmp_path),
                "NODE_BASE_URL": "http://127.0.0.1:1",
                "NETWORK": "local",
                "COLUMNS": "250",
                "STRONGROOM_WEBHOOK_NETWORKS": "127.0.0.1/32",
                "STRONGROOM_WEBHOOK_HTTP": "true",
                "CALLBACK_URL": "https://old.example/canary",
            },
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "taken: it answered with status 204" in done.stdout
    assert "removed shop" in done.stdout
    assert "CALLBACK_URL" in done.stdout
    assert "https://old.example/…" in done.stdout
    assert "canary" not in done.stdout
    ((headers, body),) = requests
    (secret,) = re.findall(r"^secret (whsec_\S+)$", done.stdout, re.MULTILINE)
    names: dict[str, Any] = {"SECRET": secret, "headers": headers, "body": body}
    exec(VERIFY, names)  # noqa: S102 - the page's own lines
    assert names["event"]["type"] == "webhook.test"


@pytest.mark.parametrize(
    "kind", [*EVERY_LEDGER, "webhook.test", *(kind for one in OWN for kind in one.events())]
)
def test_every_kind_of_event_is_on_the_page(kind: str) -> None:
    assert f"`{kind}`" in PAGE
