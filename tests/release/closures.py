"""What an extra of the package brings with it, and environments that have no more."""

import importlib.metadata
import re
import sys
from collections.abc import Iterator
from functools import cache

from packaging.requirements import Requirement

OURS = "strongroom"
BLOCKER = """
import sys
class Without:
    def __init__(self, finders):
        self.finders = finders
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            return None
        return next((spec for one in self.finders if (spec := one.find_spec(name, path, target))), None)
    def find_distributions(self, *asked):
        return (found for one in self.finders for found in getattr(one, "find_distributions", list_nothing)(*asked))
def list_nothing(*asked):
    return []
sys.meta_path = [Without(sys.meta_path)]
"""


@cache
def requirements(name: str) -> tuple[Requirement, ...]:
    return tuple(Requirement(line) for line in importlib.metadata.requires(name) or ())


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(extra: str) -> set[str]:
    """The names of all distributions that `strongroom[extra]` needs, itself among them."""
    found: set[tuple[str, str]] = set()
    waiting = [(OURS, extra)]
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in found:
            continue
        found.add((name, wanted))
        for one in requirements(name):
            if one.marker is None or one.marker.evaluate({"extra": wanted}):
                waiting += [(canonical(one.name), each) for each in ("", *one.extras)]
    return {name for name, _extra in found}


def others(extra: str) -> set[str]:
    """The importable names of what is installed here and that this extra does not bring."""
    own = closure(extra)
    return {
        module
        for module, distributions in importlib.metadata.packages_distributions().items()
        if module.isidentifier() and not {canonical(one) for one in distributions} & own
    } - set(_of_tests())


def _of_tests() -> Iterator[str]:
    yield from sys.stdlib_module_names
    yield from ("pip", "setuptools", "pkg_resources")


def blocker(extra: str) -> str:
    """A program text after which nothing but this extra's packages can be imported."""
    return BLOCKER.format(names=sorted(others(extra)))
