"""A browser without scripts: keeps cookies, follows redirects, sends the forms of a page as they stand."""

import re
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser

import httpx2


@dataclass(kw_only=True)
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Page:
    status: int
    url: str
    html: str
    headers: httpx2.Headers

    @property
    def text(self) -> str:
        """What is read, in one line."""
        shown = re.sub(r"<(style|script|title)\b.*?</\1>|<[^>]*>", " ", self.html, flags=re.DOTALL)
        return " ".join(unescape(shown).split())

    @property
    def heading(self) -> str:
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.html, re.DOTALL)
        return "" if found is None else " ".join(unescape(re.sub(r"<[^>]*>", "", found[1])).split())

    @property
    def forms(self) -> list[Form]:
        reader = _Forms()
        reader.feed(self.html)
        return reader.forms

    def form(self, action: str) -> Form:
        return next(one for one in self.forms if one.action.partition("?")[0] == action)

    def has_form(self, action: str) -> bool:
        return any(one.action.partition("?")[0] == action for one in self.forms)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(action=given.get("action", ""), method=given.get("method", "get")))
        elif tag in {"input", "textarea", "select"} and "name" in given and self.forms:
            if given.get("type") != "checkbox":
                self.forms[-1].fields[given["name"]] = given.get("value", "")
        elif tag == "button" and self.forms:
            self.forms[-1].buttons.append(given.get("name", ""))


class Visitor:
    """One browser at a console."""

    def __init__(self, url: str) -> None:
        self.client = httpx2.AsyncClient(
            base_url=url, trust_env=False, verify=False, timeout=30, follow_redirects=True
        )
        self.origin = url.rstrip("/")

    async def open(self, path: str, **headers: str) -> Page:
        return _page(await self.client.get(path, headers={"Sec-Fetch-Site": "same-origin", **headers}))

    async def send(self, path: str, fields: dict[str, str], **headers: str) -> Page:
        own = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        return _page(await self.client.post(path, data=fields, headers=own | headers))

    async def submit(self, form: Form, **fields: str) -> Page:
        return await self.send(form.action, form.fields | fields)

    async def sign_in(self, token: str, next_path: str = "/") -> Page:
        page = await self.open(f"/sign-in?next={next_path}")
        return await self.submit(page.form("/sign-in"), token=token)


def _page(answer: httpx2.Response) -> Page:
    return Page(status=answer.status_code, url=answer.url.path, html=answer.text, headers=answer.headers)
