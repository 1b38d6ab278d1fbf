"""Reads environment variables and collects every mistake, so that an operator sees all of them at once."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from strongroom.core.secret_files import read_secret_file
from strongroom.core.variables import misspelt, without_service_links

T = TypeVar("T")

TRUE = {"true", "1", "yes", "on"}
FALSE = {"false", "0", "no", "off"}
SHORTEST_CREDENTIAL = 32
"""In bytes: the length that RFC 7518 requires of a secret for HS256."""
SHORT_SECRETS_VARIABLE = "STRONGROOM_ALLOW_SHORT_SECRETS"


class Secret:
    """A setting that must not be shown; the code that uses it calls `reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "[set]" if self._text else "[empty]"

    def reveal(self) -> str:
        return self._text


class SettingsError(Exception):
    """All mistakes in the settings, one per line, each with its variable's name."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class Environment:
    """Typed access to variables. A method that finds a mistake records it and returns a harmless value."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = without_service_links(variables)
        self.names_read: set[str] = set()
        self.mistakes: list[str] = []
        self.warnings: list[str] = []
        """Mistakes in values that are not used, so that they do no harm."""
        self._short: set[str] = set()

    def mistake(self, text: str) -> None:
        if text not in self.mistakes:  # two ledgers may read the same variable
            self.mistakes.append(text)

    def unused(self, why: str) -> "Environment":
        """A view for the settings of a part that is switched off: mistakes become warnings, with the reason `why`."""
        return _Unused(self._variables, self, why)

    def check_names(self, known: Iterable[str], own: Iterable[str], obsolete: Mapping[str, str]) -> None:
        """Records a mistake for every variable that is set but misspelt, because nothing reads it."""
        for mistake in misspelt(self._variables, known, own, obsolete):
            self.mistake(mistake)

    def raise_mistakes(self) -> None:
        if self.mistakes:
            raise SettingsError(self.mistakes)

    def _get(self, name: str) -> str | None:
        self.names_read.add(name)
        value = self._variables.get(name)
        if value is not None and not is_utf8(value):
            self.mistake(f"{name} has bytes that are no UTF-8")
            return None
        return value

    def is_set(self, name: str) -> bool:
        return bool(self._get(name))

    def text(self, name: str, default: str | None = None) -> str:
        value = self._get(name) or default
        if value is None:
            self.mistake(f"{name} is required")
            return ""
        return value

    def optional(self, name: str) -> str | None:
        return self._get(name) or None

    def first(self, *names: str) -> str | None:
        """The value of the first of `names` that is set."""
        return next((value for value in [self._get(name) for name in names] if value), None)

    def beginning_with(self, prefix: str) -> dict[str, str]:
        """The variables whose names begin with `prefix`."""
        return {name: value for name, value in self._variables.items() if name.startswith(prefix)}

    def secret(self, name: str) -> Secret | None:
        """The variable's value, or the content of the file that `<name>_FILE` names; None if neither is set."""
        direct, path = self.optional(name), self.optional(f"{name}_FILE")
        if direct and path:
            self.mistake(f"{name} and {name}_FILE are both set; keep one")
        if direct:
            return Secret(direct)
        if path:
            return self._parse(f"{name}_FILE", path, _read_secret, None)
        return None

    def credential(self, name: str, *, published: str = "") -> Secret | None:
        """A secret by which callers authenticate. A short one is a mistake unless the operator allows it for its variable.

        `published` is a publicly known default value. It is not checked here; the caller decides about it.
        """
        secret = self.secret(name)
        if secret is None or secret.reveal() == published:
            return secret
        if len(secret.reveal().encode()) < SHORTEST_CREDENTIAL:
            if name in self.names(SHORT_SECRETS_VARIABLE):
                self._short.add(name)
            else:
                self.mistake(
                    f"{name} must have {SHORTEST_CREDENTIAL} bytes or more, as `openssl rand -hex 32` makes it. Where callers"
                    f" of a database that was taken over still need the old one, add {name} to {SHORT_SECRETS_VARIABLE}"
                )
        return secret

    def short_among(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names` whose secret is short with the operator's permission."""
        return tuple(name for name in names if name in self._short)

    def integer(self, name: str, default: int, *, low: int = 0, high: int = 2**63 - 1) -> int:
        value = self._parse(name, self.text(name, str(default)), _whole_number, default)
        if not low <= value <= high:
            self.mistake(f"{name} must be from {low} to {high}, not {value}")
            return default
        return value

    def port(self, name: str, default: int) -> int:
        return self.integer(name, default, low=0, high=65_535)

    def flag(self, name: str, default: bool) -> bool:
        text = self.text(name, str(default)).lower()
        if text not in TRUE | FALSE:
            self.mistake(f"{name} must be true or false, not {text!r}")
        return text in TRUE

    def url(self, name: str) -> str | None:
        """An http or https URL, exactly as it is set."""
        text = self._get(name) or None
        if text is not None and not _is_web_url(text):
            self.mistake(f"{name} must be an http or https URL, not {_without_secrets(text)!r}")
        return text

    def base_url(self, name: str) -> str | None:
        """An http or https URL without slashes at its end, so that paths can be appended."""
        text = self.url(name)
        return None if text is None else text.rstrip("/")

    def names(self, name: str) -> frozenset[str]:
        """A comma-separated list."""
        return frozenset(part.strip() for part in self.text(name, ",").split(",") if part.strip())

    def parsed(self, name: str, text: str, parse: Callable[[str], T], default: T) -> T:
        """`parse(text)`; a ValueError is recorded as a mistake of `name`, and the result is `default`."""
        return self._parse(name, text, parse, default)

    def _parse(self, name: str, text: str, parse: Callable[[str], T], default: T) -> T:
        try:
            return parse(text)
        except (ValueError, OSError) as error:
            self.mistake(f"{name}: {error}")
            return default


class _Unused(Environment):
    """An environment whose mistakes become warnings of another environment."""

    def __init__(self, variables: Mapping[str, str], user: Environment, why: str) -> None:
        super().__init__(variables)
        self.names_read = user.names_read
        self._user = user
        self._why = why

    def mistake(self, text: str) -> None:
        super().mistake(text)
        warning = f"{text}; {self._why}"
        if warning not in self._user.warnings:
            self._user.warnings.append(warning)


def _read_secret(path: str) -> Secret | None:
    text = read_secret_file(path).strip()
    if not text:
        raise ValueError(f"the file {path} is empty")
    return Secret(text)


def is_utf8(text: str) -> bool:
    """Whether a text from outside was UTF-8; Python keeps other bytes in a form that nothing can write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _without_secrets(url: str) -> str:
    """A password may stand before the @, with any letters in it; a token in the path or the query."""
    shown = url.rpartition("@")[2]
    scheme, colon, rest = shown.partition("://") if "://" in shown else ("", "", shown)
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    return f"{scheme}{colon}{rest[:end]}"


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"must be a whole number, not {text!r}") from None
