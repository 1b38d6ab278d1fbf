"""Which ledgers there are: those of this package, and those that others install beside it.

A package of its own has an entry point in the group `strongroom.ledgers` that names its `LedgerDefinition`:

    [project.entry-points."strongroom.ledgers"]
    toy = "strongroom_toy.definition:LEDGER"

A package that cannot be used stops nobody else's commands. It is never left out silently either, because its ledger may hold
money: `serve`, where it is not told which ledgers to serve, refuses to start, and every other command warns.
"""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from strongroom.atto.definition import LEDGER as ATTO
from strongroom.bittensor.definition import LEDGER as BITTENSOR
from strongroom.core.environment import Environment, SettingsError
from strongroom.core.ledger.contract import AnyLedger, LedgerDefinition
from strongroom.hathor.definition import LEDGER as HATHOR

GROUP = "strongroom.ledgers"
OWN: tuple[AnyLedger, ...] = (ATTO, HATHOR, BITTENSOR)
COMMANDS = (
    "serve",
    "sandbox",
    "migrate",
    "sync",
    "approvals",
    "audit",
    "backup",
    "doctor",
    "token",
    "keys",
    "policy",
    "freeze",
    "unfreeze",
    "webhook",
    "rows",
    "seal",
    "unseal",
    "payments",
    "payment",
)
"""Commands of the service itself."""
TOKEN_OPTIONS = (
    "name",
    "scope",
    "expires",
    "network",
    "rate",
    "certificate",
    "certificate_authority",
    "certificate_subject",
    "require_certificate",
    "ledger",
)
"""Parameters of `strongroom token create` itself."""


def find_ledgers(installed: Iterable[EntryPoint]) -> tuple[tuple[AnyLedger, ...], tuple[str, ...]]:
    """This package's ledgers, then the installed ones in the order of their names; and why others cannot be used."""
    found, broken = list(OWN), list[str]()
    for entry in sorted(installed, key=lambda one: one.name):
        try:
            definition = _load(entry)
            _require_usable(definition, found)
        except SettingsError as error:
            broken += [f"the ledger {entry.name} = {entry.value} {mistake}" for mistake in error.mistakes]
        else:
            found.append(definition)
    return tuple(found), tuple(broken)


def require_whole() -> None:
    """Raises: SettingsError: an installed ledger cannot be used."""
    if BROKEN:
        ways = " ".join(one.name for one in LEDGERS)
        raise SettingsError([*BROKEN, f"to serve without it, name what to serve: strongroom serve {ways}"])


def _load(entry: EntryPoint) -> AnyLedger:
    """Raises: SettingsError: it cannot be loaded, is no definition, or fails when it is asked."""
    try:
        definition = entry.load()
    except (Exception, SystemExit) as error:  # whatever a package of others does when it is imported
        raise SettingsError([f"cannot be loaded: {type(error).__name__}: {error}"]) from error
    if not isinstance(definition, LedgerDefinition):
        raise SettingsError(["is no LedgerDefinition"])
    try:
        names_of(definition)
        definition.read_settings(Environment({}), Path(), "127.0.0.1")
    except (Exception, SystemExit) as error:
        raise SettingsError([f"does not say what it is: {type(error).__name__}: {error}"]) from error
    return definition


def names_of(definition: AnyLedger) -> Mapping[str, Sequence[str]]:
    """What a ledger calls its things, by their kind. No two ledgers may have one name of a kind."""
    return {
        "ledgers": [definition.name],
        "surfaces": definition.surfaces,
        "commands": [definition.name, *definition.root_commands()],
        "secret files": definition.secret_files,
        "components of revisions": [definition.revisions.component],
    }


def _require_usable(definition: AnyLedger, found: Sequence[AnyLedger]) -> None:
    """Raises: SettingsError: it has a name that another ledger, or the service, has."""
    reserved = {
        "commands": COMMANDS,
        "components of revisions": ("core",),
        "surfaces": ("management", "console"),
    }
    taken = [names_of(one) for one in found]
    mistakes = []
    for kind, names in names_of(definition).items():
        others = {*reserved.get(kind, ()), *(name for one in taken for name in one[kind])}
        mistakes += [f"cannot be used: two {kind} are called {name}" for name in names if name in others]
    if options := _limits(definition):  # loads the limits of the others only where it has some itself
        others = {*TOKEN_OPTIONS, *(name for one in found for name in _limits(one))}
        mistakes += [
            f"cannot be used: two options of `token create` are called {name}"
            for name in options
            if name in others
        ]
    if mistakes:
        raise SettingsError(mistakes)


def _limits(definition: AnyLedger) -> Sequence[str]:
    limit = definition.token_limits()
    return () if limit is None else tuple(inspect.signature(limit).parameters)


LEDGERS, BROKEN = find_ledgers(entry_points(group=GROUP))
"""The ledgers; and a sentence for each installed one that cannot be used."""
BY_NAME = {one.name: one for one in LEDGERS}
