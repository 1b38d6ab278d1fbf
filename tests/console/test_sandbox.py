"""Whoever starts a sandbox gets a link into its console."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.console import Visitor
from support.ports import own_ports
from support.processes import strongroom

pytestmark = pytest.mark.anyio


async def test_the_last_line_of_a_sandbox_signs_in_once(tmp_path: Path) -> None:
    variables = {"STRONGROOM_DATA": str(tmp_path), **own_ports()}
    with strongroom("serve", "--sandbox", environment=variables) as process:
        process.wait_ready()
        line = process.wait_for("the console")
        link = urlsplit(line.split()[-1])
        visitor = Visitor(f"{link.scheme}://{link.netloc}")
        form = (await visitor.open(f"{link.path}?{link.query}")).form("/sign-in")
        page = await visitor.submit(form)
        assert page.url == "/"
        assert "sandbox-console-" in page.text
        for title in ("Atto", "Hathor", "Bittensor"):
            assert title in page.text
        await visitor.submit(page.form("/sign-out"))
        assert (await visitor.submit(form)).status == 401
        await visitor.client.aclose()
