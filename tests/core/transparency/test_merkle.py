"""Merkle trees, against known answers of Certificate Transparency and against the definitions of RFC 9162, written down anew."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core.transparency.checker import EMPTY_ROOT, is_consistent, leaf_hash, root_of
from strongroom.core.transparency.merkle import Frontier, consistency_path, inclusion_path, tree_root

# The reference data of Certificate Transparency's own implementations (`TestMerkleTree` of certificate-transparency-go).
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSIONS = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCIES = {
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
sizes = st.integers(0, 40)


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(4, "big")) for number in range(size)]


def head(entries: list[bytes]) -> bytes:
    """MTH as section 2.1.1 defines it."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    half = max(2**power for power in range(10) if 2**power < len(entries))
    return hashlib.sha256(b"\x01" + head(entries[:half]) + head(entries[half:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_known_ones(size: int) -> None:
    assert tree_root(LEAVES[:size]).hex() == ROOTS[size] == head(ENTRIES[:size]).hex()


@pytest.mark.parametrize(("index", "size"), INCLUSIONS)
def test_inclusion_paths_are_the_known_ones(index: int, size: int) -> None:
    path = inclusion_path(LEAVES[:size], index)
    assert [node.hex() for node in path] == INCLUSIONS[index, size]


@pytest.mark.parametrize(("earlier", "later"), CONSISTENCIES)
def test_consistency_paths_are_the_known_ones(earlier: int, later: int) -> None:
    path = consistency_path(LEAVES[:later], earlier)
    assert [node.hex() for node in path] == CONSISTENCIES[earlier, later]


@given(sizes, sizes)
def test_a_tree_that_was_put_away_grows_like_one_that_was_not(first: int, more: int) -> None:
    whole = leaves(first + more)
    begun = Frontier()
    for leaf in whole[:first]:
        begun.append(leaf)
    grown = Frontier(begun.size, begun.peaks)
    for leaf in whole[first:]:
        grown.append(leaf)
    assert grown.size == first + more
    assert len(grown.peaks) <= 6
    assert grown.root() == head([number.to_bytes(4, "big") for number in range(first + more)])


@pytest.mark.parametrize(("size", "peaks"), [(0, 1), (3, 1), (4, 2)])
def test_a_tree_of_the_wrong_number_of_subtrees_is_refused(size: int, peaks: int) -> None:
    with pytest.raises(ValueError, match="whole subtrees"):
        Frontier(size, [bytes(32)] * peaks)


@given(st.integers(1, 40).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))))
def test_each_leaf_has_a_path_that_leads_to_the_root_and_no_other_leaf_has_it(place: tuple[int, int]) -> None:
    index, size = place
    tree = leaves(size)
    path, root = inclusion_path(tree, index), tree_root(tree)
    assert root_of(tree[index], index, size, path) == root
    assert root_of(leaf_hash(b"another"), index, size, path) != root
    for other in range(size + 2):
        if other != index:
            assert root_of(tree[index], other, size, path) != root
    assert root_of(tree[index], index, size, [*path, bytes(32)]) is None
    if path:
        assert root_of(tree[index], index, size, path[:-1]) is None
        assert root_of(tree[index], index, size, [bytes(32), *path[1:]]) != root
    assert root_of(tree[0], -1, size, path) is None


@given(st.integers(1, 40).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size))))
def test_a_tree_proves_that_it_begins_with_an_earlier_one(sizes: tuple[int, int]) -> None:
    first, second = sizes
    tree = leaves(second)
    earlier, later = (first, tree_root(tree[:first])), (second, tree_root(tree))
    path = consistency_path(tree, first)
    assert is_consistent(earlier, later, path)
    assert not is_consistent((first, leaf_hash(b"x")), later, path)
    assert not is_consistent(earlier, (second, leaf_hash(b"x")), path) or first == 0
    assert not is_consistent(earlier, later, [*path, bytes(32)])
    for place in range(len(path)):
        assert not is_consistent(earlier, later, [*path[:place], bytes(32), *path[place + 1 :]])
        assert not is_consistent(earlier, later, [*path[:place], *path[place + 1 :]])


@given(st.integers(2, 30), st.data())
def test_a_tree_whose_past_was_changed_proves_nothing(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, size - 1))
    changed = data.draw(st.integers(0, first - 1))
    tree = leaves(size)
    other = [*tree[:changed], leaf_hash(b"changed"), *tree[changed + 1 :]]
    earlier, later = (first, tree_root(tree[:first])), (size, tree_root(other))
    assert not is_consistent(earlier, later, consistency_path(other, first))
    assert not is_consistent(earlier, later, consistency_path(tree, first))


def test_an_earlier_tree_is_no_larger() -> None:
    assert not is_consistent((3, tree_root(leaves(3))), (2, tree_root(leaves(2))), [])
    assert not is_consistent((0, leaf_hash(b"")), (2, tree_root(leaves(2))), [])
    assert is_consistent((0, EMPTY_ROOT), (2, tree_root(leaves(2))), [])
