"""Which ledgers there are: those of this package, and those that others install beside it.

A package of its own has an entry point in the group `strongroom.ledgers` that names its `LedgerDefinition`:

    [project.entry-points."strongroom.ledgers"]
    toy = "strongroom_toy.definition:LEDGER"

A package that cannot be used stops nobody else's commands. It is never left out silently either, because its ledger may hold
money: `serve`, where it is not told which ledgers to serve, refuses to start, and every other command warns. The same goes for
a ledger of this package that the variables configure, in an environment that was installed without what it needs.
"""

import inspect
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from strongroom.core.environment import Environment, SettingsError
from strongroom.core.ledger.contract import AnyLedger, LedgerDefinition

GROUP = "strongroom.ledgers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """What is known of a ledger of this package where it may not be imported: `strongroom[NAME]` may not be installed."""

    modules: tuple[str, ...]
    """What its extra brings beside that of `strongroom[core]`."""
    named_by: tuple[str, ...]
    """As its definition's."""

    @property
    def is_installed(self) -> bool:
        return all(find_spec(module) is not None for module in self.modules)

    @property
    def configured_by(self) -> str | None:
        return next((name for name in self.named_by if os.environ.get(name)), None)


EXTRAS = {
    "atto": Extra(modules=("mnemonic", "nacl"), named_by=("NODE_BASE_URL",)),
    "hathor": Extra(modules=("coincurve", "jwt"), named_by=("DEFAULT_SERVER", "FULLNODE_HOST")),
    "bittensor": Extra(
        modules=("bittensor_drand", "jwt", "mnemonic", "nacl", "scalecodec", "sr25519", "xxhash"),
        named_by=("BITTENSOR_NETWORK", "network", "CHAIN_NETWORK", "chain_endpoint", "CHAIN_ENDPOINT"),
    ),
}
ABSENT = tuple(name for name, extra in EXTRAS.items() if not extra.is_installed)
"""The ledgers of this package that this environment cannot run."""


def _own() -> Iterator[AnyLedger]:
    if "atto" not in ABSENT:
        from strongroom.atto.definition import LEDGER as ATTO  # noqa: PLC0415 - not where its packages are absent

        yield ATTO
    if "hathor" not in ABSENT:
        from strongroom.hathor.definition import LEDGER as HATHOR  # noqa: PLC0415 - as above

        yield HATHOR
    if "bittensor" not in ABSENT:
        from strongroom.bittensor.definition import LEDGER as BITTENSOR  # noqa: PLC0415 - as above

        yield BITTENSOR


OWN = tuple(_own())
if not OWN:
    raise ModuleNotFoundError("no ledger can run here", name="strongroom[server]")
COMMANDS = (
    "adopt",
    "serve",
    "sandbox",
    "migrate",
    "sync",
    "approvals",
    "audit",
    "backup",
    "completion",
    "config",
    "explain",
    "copy",
    "restore",
    "verify",
    "doctor",
    "health",
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
    "wallets",
    "wallet",
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


def _lacking() -> Iterator[str]:
    for name in ABSENT:
        if variable := EXTRAS[name].configured_by:
            yield f"{variable} configures the ledger {name}, and this environment lacks its packages: strongroom[{name}]"


LEDGERS, BROKEN = find_ledgers(entry_points(group=GROUP))
BROKEN = (*_lacking(), *BROKEN)
"""The ledgers; and a sentence for each installed one that cannot be used."""
BY_NAME = {one.name: one for one in LEDGERS}
