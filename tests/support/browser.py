"""A real browser without a window: what it shows of a page after the page's scripts ran."""

import json
from pathlib import Path

import anyio

from support.programs import program


async def browse(url: str, folder: Path, *, names: tuple[str, ...] = ()) -> str:
    """The document as a browser has it; the browser reaches this machine only, and `names` lead to it too."""
    rules = [f"MAP {name} 127.0.0.1" for name in names]
    rules += ["MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1", "EXCLUDE localhost"]
    command = [
        program("chromium"),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--host-resolver-rules={' , '.join(rules)}",
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={folder / 'net.json'}",
        "--virtual-time-budget=8000",
        "--dump-dom",
        url,
    ]
    done = await anyio.run_process(command)
    return done.stdout.decode()


def requests_of(log: Path, origin: str) -> list[str]:
    """URLs that pages of this origin asked for, from the browser's own log of its network."""
    events = json.loads(log.read_text())
    kind = events["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [event["params"] for event in events["events"] if event["type"] == kind and "params" in event]
    return [one["url"] for one in asked if one.get("initiator") == origin]
