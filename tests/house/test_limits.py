"""The house's limits, stated once. What stands above one of them is listed, and leaves the list when it is mended."""

from collections.abc import Callable, Iterator

import pytest

from support.house_measures import Measured, constructors, files, folders, functions

Measure = Callable[[], Iterator[Measured]]

LIMITS: dict[Measure, int] = {files: 500, functions: 60, constructors: 7, folders: 16}
"""Lines of a file, lines of a function, collaborators of a class, modules of a folder."""

TOO_LARGE: dict[Measure, set[str]] = {
    files: set(),
    functions: set(),
    constructors: set(),
    folders: set(),
}


@pytest.mark.parametrize("measure", LIMITS, ids=lambda measure: measure.__name__)
def test_nothing_is_larger_than_the_house_allows(measure: Measure) -> None:
    sizes: dict[str, int] = {}
    for found in measure():
        sizes[found.place] = max(found.size, sizes.get(found.place, 0))
    assert sizes
    too_large = {place: size for place, size in sizes.items() if size > LIMITS[measure]}
    assert {place: size for place, size in too_large.items() if place not in TOO_LARGE[measure]} == {}
    mended = TOO_LARGE[measure] - too_large.keys()
    if mended:
        pytest.fail(f"take off the list: {', '.join(sorted(mended))}")
