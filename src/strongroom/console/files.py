"""The console's files: templates and assets, all read once, so that no request waits for a disk."""

import hashlib
import importlib.resources
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any, Final

from jinja2 import DictLoader, Environment, StrictUndefined
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from strongroom.console.words import FILTERS
from strongroom.core.http.route_access import PUBLIC

KINDS: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
DIGITS: Final = 16
FOR_EVER: Final = "public, max-age=31536000, immutable"
ROOT: Final = importlib.resources.files("strongroom.console")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    path: str
    """Has a hash of the content in it, so that a browser never has an old one."""
    kind: str
    content: bytes


def read_assets() -> dict[str, Asset]:
    """By their names, such as `style.css`."""
    found = {}
    for file in sorted((ROOT / "static").iterdir(), key=lambda one: one.name):
        name = file.name
        kind = KINDS.get(name[name.rfind(".") :])
        if kind is not None:
            content = file.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:DIGITS]
            found[name] = Asset(path=f"/assets/{digest}/{name}", kind=kind, content=content)
    return found


def make_templates(assets: dict[str, Asset]) -> Environment:
    """Everything is escaped, and a name that nobody gave is an error and no empty text."""
    environment = Environment(
        loader=DictLoader(_sources(ROOT / "templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(FILTERS)
    environment.globals["assets"] = {name: one.path for name, one in assets.items()}
    return environment


def _sources(folder: Traversable, above: str = "") -> dict[str, str]:
    """By their paths, such as `base.html` and `webhooks/endpoints.html`."""
    found = dict[str, str]()
    for one in folder.iterdir():
        if one.is_dir():
            found |= _sources(one, f"{above}{one.name}/")
        elif one.name.endswith(".html"):
            found[f"{above}{one.name}"] = one.read_text("utf-8")
    return found


def asset_route(assets: dict[str, Asset]) -> Any:
    """The route of all assets, for everybody: there is nothing of anybody in them."""
    by_path = {one.path: one for one in assets.values()}

    @get("/assets/{digest:str}/{name:str}", opt=PUBLIC)
    async def show_asset(digest: FromPath[str], name: FromPath[str]) -> Response[bytes]:
        found = by_path.get(f"/assets/{digest}/{name}")
        if found is None:
            raise NotFoundException("There is no such file")
        return Response(found.content, media_type=found.kind, headers={"Cache-Control": FOR_EVER})

    return show_asset
