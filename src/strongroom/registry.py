"""Which ledgers there are: those of this package, and those that others install beside it.

A package of its own has an entry point in the group `strongroom.ledgers` that names its `LedgerDefinition`:

    [project.entry-points."strongroom.ledgers"]
    toy = "strongroom_toy.definition:LEDGER"
"""

from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points

from strongroom.atto.definition import LEDGER as ATTO
from strongroom.bittensor.definition import LEDGER as BITTENSOR
from strongroom.core.environment import SettingsError
from strongroom.core.ledger.contract import AnyLedger, LedgerDefinition
from strongroom.hathor.definition import LEDGER as HATHOR

GROUP = "strongroom.ledgers"
OWN: tuple[AnyLedger, ...] = (ATTO, HATHOR, BITTENSOR)


def find_ledgers(installed: Iterable[EntryPoint]) -> tuple[AnyLedger, ...]:
    """This package's ledgers, then the installed ones in the order of their names.

    Raises:
        SettingsError: an entry point cannot be loaded or names no definition, or two ledgers share a name or a surface's name.
    """
    found = list(OWN)
    for entry in sorted(installed, key=lambda one: one.name):
        try:
            definition = entry.load()
        except Exception as error:  # whatever a package of others does when it is imported
            what = f"{type(error).__name__}: {error}"
            raise SettingsError(
                [f"the ledger {entry.name} = {entry.value} cannot be loaded: {what}"]
            ) from error
        if not isinstance(definition, LedgerDefinition):
            raise SettingsError([f"the entry point {entry.name} = {entry.value} is no LedgerDefinition"])
        found.append(definition)
    _require_different("ledgers", [one.name for one in found])
    _require_different("surfaces", [name for one in found for name in one.surfaces])
    return tuple(found)


def _require_different(kind: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError([f"two {kind} are called {', '.join(twice)}"])


LEDGERS = find_ledgers(entry_points(group=GROUP))
BY_NAME = {one.name: one for one in LEDGERS}
