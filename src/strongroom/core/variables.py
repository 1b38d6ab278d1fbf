"""Names of variables: a misspelt one is worse than a wrong value, for nobody tells that the right one is not set.

A family is what stands before the first `_` of a name that is read. In the service's own families (STRONGROOM, SANDBOX, ...)
every name that is not read is a mistake. Families that other programs use too (DB, REDIS, LOG, ...) may hold anything but a
slip of the pen: a name one letter away from one that is read.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

OF_TESTS = re.compile(r"STRONGROOM_TEST_\w+")
_SERVICE_LINK = re.compile(r"\w+_SERVICE_(HOST|PORT(_\w+)?)|\w+_PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?")
_LINK_URL = re.compile(r"(tcp|udp|sctp)://\S+:\d+")
ALIKE = 0.75
_SHORTEST_NAME = 7
"""The shortest shared name that is checked; shorter ones have too many neighbours."""
_SHORTEST_OWN_NAME = 10
"""The same of own names, whose family may be misspelt too (`STRONGROM_HOST`)."""


def without_service_links(variables: Mapping[str, str]) -> dict[str, str]:
    """Without what Kubernetes tells every pod of each Service: one called `sandbox` sets `SANDBOX_PORT=tcp://10.0.0.1:8080`."""
    return {
        name: value
        for name, value in variables.items()
        if not _SERVICE_LINK.fullmatch(name)
        and not (name.endswith("_PORT") and _LINK_URL.fullmatch(value.strip()))
    }


def misspelt(
    variables: Mapping[str, str], known: Iterable[str], own: Iterable[str], obsolete: Mapping[str, str]
) -> list[str]:
    """A sentence for each name that is set and that nobody reads, although it looks as if somebody should.

    `own`: families of the service alone. `obsolete`: what replaced names of the originals and of earlier versions.
    """
    known = set(known)
    families = {_family(name) for name in known}.intersection(own)
    mistakes = []
    for name, value in sorted(variables.items()):
        if not value or name in known:
            continue
        if name in obsolete:
            mistakes.append(f"{name} is not read any more; {obsolete[name]} replaced it")
        elif "_" in name and _family(name).upper() in families:
            if not OF_TESTS.fullmatch(name):
                near = get_close_matches(name.upper(), known, n=1, cutoff=ALIKE)
                mistakes.append(
                    f"{name} is no variable of this service" + (f"; is {near[0]} meant?" if near else "")
                )
        elif near := sorted(one for one in known if _is_slip(name, one, own)):
            mistakes.append(f"{name} is no variable of this service; is {near[0]} meant?")
    return mistakes


def _family(name: str) -> str:
    return name.partition("_")[0]


def _is_slip(name: str, meant: str, own: Iterable[str]) -> bool:
    """Whether one letter is wrong, missing, too many, or two have changed places: of an own name in any word."""
    if "_" not in meant or len(meant) < _SHORTEST_NAME:
        return False
    if _family(name) != _family(meant) and (_family(meant) not in own or len(meant) < _SHORTEST_OWN_NAME):
        return False
    if abs(len(name) - len(meant)) > 1:
        return False
    start = next(
        (i for i, (a, b) in enumerate(zip(name, meant, strict=False)) if a != b), min(len(name), len(meant))
    )
    left, right = name[start:], meant[start:]
    return (
        left[1:] == right[1:]
        or left[1:] == right
        or left == right[1:]
        or (left[:2] == right[1::-1] and left[2:] == right[2:])
    )
