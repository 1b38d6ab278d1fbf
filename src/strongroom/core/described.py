"""What each variable is for, and what the code that reads it says of it: its default, its values, whether it is a secret.

The sentence of a variable is written once, beside the settings that read it. docs/configuration.md and `strongroom config` show it
together with what `Recorder` learns from the reading code itself, so that neither can differ from what is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from strongroom.core.environment import Environment, Secret

UNBOUNDED = 2**63 - 1
FILE_ENDING = "_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What people need to know of one variable, besides what the reading code says."""

    meaning: str
    """One plain sentence, in Markdown."""
    default: str | None = None
    """In words, where the reading code works the default out; None: as it is read."""
    values: str | None = None
    """In words, where the reading code parses the value itself; None: as it is read."""
    is_secret: bool = False
    """For secrets that only commands or other programs read; of all others the reading code says it."""
    is_original: bool = False
    """The program that this service replaces has a variable of this name."""
    comes_first: bool = False
    """Most installations set it."""


class Subject(NamedTuple):
    title: str
    variables: Mapping[str, Variable]
    page: str = ""
    """The page that explains them, a path from docs/ with its anchor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """How a variable is read."""

    default: str | None
    values: str
    is_secret: bool = False
    has_file: bool = False
    """`<NAME>_FILE` may name a file with the value."""

    @property
    def weight(self) -> int:
        """Which of several reads of one variable says the most."""
        return 2 * bool(self.values or self.is_secret) + (self.default is not None)


class Recorder(Environment):
    """An environment that notes how each variable is read."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)
        self.reads: dict[str, Read] = {}

    def _note(self, name: str, default: object = None, values: str = "", *, is_secret: bool = False) -> None:
        text = None if default is None else str(default)
        read = Read(default=text, values=values, is_secret=is_secret, has_file=is_secret)
        if name not in self.reads or self.reads[name].weight < read.weight:
            self.reads[name] = read

    def text(self, name: str, default: str | None = None) -> str:
        self._note(name, None if default in {",", "/", ""} else default)  # stand-ins for nothing
        return super().text(name, default)

    def optional(self, name: str) -> str | None:
        self._note(name)
        return super().optional(name)

    def first(self, *names: str) -> str | None:
        for name in names:
            self._note(name)
        return super().first(*names)

    def secret(self, name: str) -> Secret | None:
        self._note(name, is_secret=True)
        return super().secret(name)

    def integer(self, name: str, default: int, *, low: int = 0, high: int = UNBOUNDED) -> int:
        self._note(name, default, f"{low} or more" if high == UNBOUNDED else f"{low} to {high}")
        return super().integer(name, default, low=low, high=high)

    def flag(self, name: str, default: bool) -> bool:
        self._note(name, str(default).lower(), "`true`, `false`")
        return super().flag(name, default)

    def url(self, name: str) -> str | None:
        self._note(name, values="http or https URL")
        return super().url(name)

    def names(self, name: str) -> frozenset[str]:
        self._note(name, values="names, with commas between")
        return super().names(name)


def key_variables(ledger: str, name: str, *, is_original: bool = False) -> dict[str, Variable]:
    """The variables of a ledger's key-encryption key, of which `name` is the first. See `core.security.keys.source`."""
    backend = f"{ledger.upper()}_KEY_BACKEND"
    form = "`vault:MOUNT/keys/NAME`, `kms:KEY`, `pkcs11:token=LABEL;object=LABEL`"
    return {
        name: Variable(
            meaning="The key that seals the secrets in the database; who loses it loses what it seals.",
            default=f"made at the first start, in `{ledger}.kek` of the data folder",
            values="64 hex digits",
            is_original=is_original,
            comes_first=True,
        ),
        f"{name}_NEXT": Variable(
            meaning=f"The key that follows `{name}`, or came before it, while the key is changed.",
            values="64 hex digits",
        ),
        backend: Variable(
            meaning="Vault, OpenBao, AWS KMS or an HSM wraps the key-encryption key.", values=form
        ),
        f"{backend}_NEXT": Variable(
            meaning=f"The backend to which the key of `{backend}` moves.", values=form
        ),
    }


def database_variables(
    names: Mapping[str, str], *, is_original: bool, first: bool = True
) -> dict[str, Variable]:
    """The variables of a database on MySQL or MariaDB. `names` by part: host, port, name, user, password."""
    meanings = {
        "host": "The host of MySQL or MariaDB; without it the ledger is in a SQLite file of the data folder.",
        "port": "The port of the database server.",
        "name": "The name of the database.",
        "user": "The user of the database.",
        "password": "The password of this user.",
    }
    return {
        names[part]: Variable(
            meaning=meaning,
            default="SQLite" if part == "host" else None,
            is_original=is_original and part != "port",
            comes_first=first and part == "host",
        )
        for part, meaning in meanings.items()
    }
