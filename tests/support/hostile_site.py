"""A web site of an attacker's, and a name of his that leads to the service after it led to his own page."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

REBOUND = "rebound.example"
PAGE = """<!doctype html><title>prizes</title><body><pre id="told"></pre><script>
const target = {target}, told = {{}};
const tell = (name, value) => {{ told[name] = value; document.getElementById("told").textContent = JSON.stringify(told); }};
const attempt = async (name, path, options) => {{
  try {{
    const answer = await fetch(target + path, options);
    tell(name, [answer.type, answer.status, await answer.text()]);
  }} catch (error) {{ tell(name, [String(error)]); }}
}};
let frames = 0;
const form = (kind, path, fields) => {{
  const frame = document.createElement("iframe");
  frame.name = "frame" + frames++;
  const form = document.createElement("form");
  Object.assign(form, {{ method: "POST", action: target + path, enctype: kind, target: frame.name }});
  for (const [name, value] of Object.entries(fields)) {{
    const input = document.createElement("input");
    Object.assign(input, {{ name, value }});
    form.append(input);
  }}
  document.body.append(frame, form);
  form.submit();
}};
{script}
</script>"""


class HostileSite:
    """Serves one page at `/attack`; everything else goes on to `target`, as after its name was pointed there."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self.page = ""
        self.url = ""

    @property
    def rebound_url(self) -> str:
        """The same under the attacker's name: for a browser one origin with what lies behind it."""
        return f"http://{REBOUND}:{urlsplit(self.url).port}/attack"

    def attack(self, script: str, target: str) -> None:
        """The page runs `script`, which has `form(kind, path, fields)`, `attempt(name, path, options)` and `tell`."""
        self.page = PAGE.format(target=json.dumps(target), script=script)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET /attack "):
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
                    + self.page.encode()
                )
                await writer.drain()
            else:
                await self._pass_on(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, to the letter."""
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        head = re.sub(rb"(?i)\r\nconnection: [^\r]*", b"\r\nConnection: close", head)
        there, to = await asyncio.open_connection(self._target.hostname, self._target.port)
        to.write(head + body)
        writer.write(await there.read())
        await writer.drain()
        to.close()


@asynccontextmanager
async def hostile_site(target: str) -> AsyncIterator[HostileSite]:
    site = HostileSite(target)
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/attack"
    try:
        yield site
    finally:
        server.close()
        await server.wait_closed()


def told(document: str) -> dict[str, list[object]]:
    """What the page found out, by the name of the attempt."""
    found = re.search(r'<pre id="told">(.*?)</pre>', document, re.DOTALL)
    assert found, document
    text = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    document_of: dict[str, list[object]] = json.loads(text or "{}")
    return document_of
