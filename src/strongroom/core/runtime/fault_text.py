"""Makes the text of an error that is safe to show in health, which needs no token, and in logs.

Messages of our own errors are written for readers. Messages of other errors may contain addresses of this network, credentials in
a URL, values of a statement, or keys. Everything that may be one of these is removed.
"""

import ipaddress
import re
from typing import Any

from sqlalchemy.exc import DBAPIError

from strongroom.core.errors import StrongroomError
from strongroom.core.runtime.telemetry import REDACTED, SECRET_WORDS

MAX_CHARACTERS = 300
PLACE = "[address]"
URL = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
ADDRESS = re.compile(
    r"""\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b               # IPv4, with or without a port
    | \b(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+):\d{1,5}\b # a host's name and a port
    """,
    re.IGNORECASE | re.VERBOSE,
)
COLONS = re.compile(r"\[?(?P<address>(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4})(?:\]:\d+|\])?", re.IGNORECASE)
"""Matches IPv6 addresses, and also times of day."""
KEYLIKE = re.compile(r"\b(?:0x)?[0-9a-f]{64,}\b", re.IGNORECASE)


def fault_text(error: BaseException) -> str:
    """One line of at most `MAX_CHARACTERS` characters, without secrets and addresses."""
    error = _first(error)
    if isinstance(error, StrongroomError):
        return _shortened(_without_addresses(error.message))
    name = type(error).__name__
    if isinstance(error, DBAPIError):
        code = _code(error)
        return f"{name}, {code}" if code else name
    if isinstance(error, OSError):
        return f"{name}: {error.strerror}" if _is_plain(error.strerror) else name
    text = str(error)
    if not text or any(word in text.lower() for word in SECRET_WORDS):
        return name
    return _shortened(f"{name}: {KEYLIKE.sub(REDACTED, _without_addresses(text))}")


def _first(error: BaseException) -> BaseException:
    """The first error inside a task group's error, whose own message says nothing."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _code(error: DBAPIError) -> str:
    """The database's error code. The error's text is not used, because it may quote values."""
    sqlite: str | None = getattr(error.orig, "sqlite_errorname", None)
    if sqlite is not None:
        return sqlite
    arguments: tuple[Any, ...] = getattr(error.orig, "args", ())
    return f"number {arguments[0]}" if arguments and isinstance(arguments[0], int) else ""


def _is_plain(text: str | None) -> bool:
    """Whether the text contains no address. The event loop adds the address that it could not reach, in parentheses."""
    return bool(text) and _without_addresses(str(text)) == text and "(" not in str(text)


def _without_addresses(text: str) -> str:
    return COLONS.sub(_without_ipv6, ADDRESS.sub(PLACE, URL.sub(PLACE, text)))


def _without_ipv6(found: re.Match[str]) -> str:
    try:
        ipaddress.IPv6Address(found["address"])
    except ValueError:
        return found[0]
    return PLACE


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_CHARACTERS else line[: MAX_CHARACTERS - 1] + "…"
