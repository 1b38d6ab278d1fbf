"""The logs of the whole process, also those of libraries."""

from pathlib import Path

import httpx2
import msgspec

from support.ports import own_ports
from support.processes import strongroom


def test_every_line_is_json_where_json_is_asked_for(tmp_path: Path) -> None:
    variables = own_ports() | {
        "STRONGROOM_DATA": str(tmp_path),
        "AUTH_SECRET": "0123456789abcdef0123456789abcdef",
        "LOG_FORMAT": "json",
    }
    with strongroom("serve", "--sandbox", environment=variables) as process:
        process.wait_ready()
        process.wait_for("hathor.sync")
        url = f"http://127.0.0.1:{variables['ATTO_PORT']}"
        asked = {"X-Request-Id": "order-1", "Authorization": "Bearer a-secret"}
        httpx2.get(f"{url}/wallets/a-name?a=secret", headers=asked, trust_env=False)
        httpx2.get(f"{url}/a-secret-path", headers={"X-Request-Id": "order-2"}, trust_env=False)
        health = f"http://127.0.0.1:{variables['MANAGEMENT_PORT']}/health"
        httpx2.get(health, trust_env=False)
        assert process.terminate() == 0
        lines = [msgspec.json.decode(line, type=dict[str, object]) for line in process.stderr]
    assert {"lease taken", "stopping"} <= {line["event"] for line in lines}
    first, second = [line for line in lines if line["event"] == "request"]
    assert (first["surface"], first["method"], first["status"]) == ("atto", "GET", 401)
    assert (first["principal"], first["request_id"]) == (None, "order-1")
    assert (second["route"], second["status"], second["request_id"]) == ("unknown", 404, "order-2")
    assert "secret" not in str([first, second])
