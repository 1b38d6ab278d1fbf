"""Finds misspelt names of variables.

A misspelt name is worse than a wrong value: no one notices that the right variable is not set. The family of a name is the part
before its first `_`. In families of this service alone (STRONGROOM, SANDBOX, ...), every name that the service does not read is
a mistake. In families that other programs use too (DB, REDIS, LOG, ...), only a name that is one letter away from a known one is
a mistake.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

OF_TESTS = re.compile(r"STRONGROOM_TEST_\w+")
_SERVICE_LINK = re.compile(r"\w+_SERVICE_(HOST|PORT(_\w+)?)|\w+_PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?")
_LINK_URL = re.compile(r"(tcp|udp|sctp)://\S+:\d+")
ALIKE = 0.75
_SHORTEST_NAME = 7
"""Shorter names of shared families are not checked: too many other names are one letter away."""
_SHORTEST_OWN_NAME = 10
"""The shortest name of an own family that is found with a misspelt family too (`STRONGROM_HOST`)."""


def without_service_links(variables: Mapping[str, str]) -> dict[str, str]:
    """Removes the variables that Kubernetes sets in every pod for each Service, such as `SANDBOX_PORT=tcp://10.0.0.1:8080`."""
    return {
        name: value
        for name, value in variables.items()
        if not _SERVICE_LINK.fullmatch(name)
        and not (name.endswith("_PORT") and _LINK_URL.fullmatch(value.strip()))
    }


def misspelt(
    variables: Mapping[str, str], known: Iterable[str], own: Iterable[str], obsolete: Mapping[str, str]
) -> list[str]:
    """One sentence for each variable that is set and not read, although its name suggests that the service reads it.

    `own` are the families of this service alone. `obsolete` maps names of the original servers and of earlier versions to
    what replaced them.
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
    """Whether `name` is `meant` with one wrong, missing or additional letter, or with two letters exchanged.

    In an own name the slip may be in the family too.
    """
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
