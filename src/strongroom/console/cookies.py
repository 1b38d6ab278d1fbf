"""The console's cookies: the session, the chosen theme, and what was just done."""

import base64
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from strongroom.core.http.forwarded import TrustedProxies

NAME: Final = "strongroom"
SECURE_NAME: Final = "__Host-strongroom"
"""Browsers keep a cookie of this name only if it came over TLS, for this host alone and all its paths."""
THEME: Final = "strongroom-theme"
NOTE: Final = "strongroom-note"
THEMES: Final = ("auto", "light", "dark")
YEAR_S: Final = 365 * 86_400
MAX_NOTE: Final = 300

AnyConnection = ASGIConnection[Any, Any, Any, Any]


class Cookies:
    """What the browser keeps. `proxies` may say that the browser speaks TLS with them."""

    def __init__(self, proxies: TrustedProxies) -> None:
        self._proxies = proxies

    def session_of(self, connection: AnyConnection) -> str | None:
        return connection.cookies.get(SECURE_NAME if self.is_secure(connection) else NAME)

    def session(self, connection: AnyConnection, secret: str, max_age_s: int) -> Cookie:
        is_secure = self.is_secure(connection)
        return Cookie(
            key=SECURE_NAME if is_secure else NAME,
            value=secret,
            path="/",
            max_age=max_age_s,
            secure=is_secure,
            httponly=True,
            samesite="strict",
        )

    def no_session(self, connection: AnyConnection) -> Cookie:
        return self.session(connection, "", 0)

    def theme(self, connection: AnyConnection, theme: str) -> Cookie:
        return _plain(THEME, theme, YEAR_S, is_secure=self.is_secure(connection))

    def note(self, connection: AnyConnection, text: str) -> Cookie:
        """What was just done, for the next page. An empty text forgets it."""
        value = base64.urlsafe_b64encode(text[:MAX_NOTE].encode()).decode()
        return _plain(NOTE, value, 60 if text else 0, is_secure=self.is_secure(connection))

    def is_secure(self, connection: AnyConnection) -> bool:
        """Whether the browser speaks TLS, with this process or with a trusted proxy before it."""
        if connection.scope["scheme"] == "https":
            return True
        peer = connection.client.host if connection.client else ""
        if self._proxies.client_beside(peer) is not None:
            return False
        said = connection.headers.getall("x-forwarded-proto", [])
        return bool(said) and said[-1].rpartition(",")[2].strip().lower() == "https"


def theme_of(connection: AnyConnection) -> str:
    chosen = connection.cookies.get(THEME)
    return chosen if chosen in THEMES else "auto"


def note_of(connection: AnyConnection) -> str:
    try:
        return base64.urlsafe_b64decode(connection.cookies.get(NOTE) or "").decode()[:MAX_NOTE]
    except ValueError:
        return ""


def _plain(key: str, value: str, max_age_s: int, *, is_secure: bool) -> Cookie:
    return Cookie(
        key=key,
        value=value,
        path="/",
        max_age=max_age_s,
        secure=is_secure,
        httponly=True,
        samesite="strict",
    )
