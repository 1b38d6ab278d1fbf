"""The logs of the whole process, also those of libraries."""

from pathlib import Path

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
        assert process.terminate() == 0
        lines = [msgspec.json.decode(line, type=dict[str, object]) for line in process.stderr]
    assert {"lease taken", "stopping"} <= {line["event"] for line in lines}
