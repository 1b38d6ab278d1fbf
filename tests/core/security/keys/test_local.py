"""Where the key-encryption key comes from."""

from pathlib import Path

import pytest

from strongroom.core.errors import VaultError
from strongroom.core.security.keys.local import key_from_file, key_from_hex, settle_key_files
from support.clock import SeededEntropy


def test_hex_is_read_in_either_case_with_white_space_around() -> None:
    assert key_from_hex(" " + "aB" * 32 + "\n").reveal() == b"\xab" * 32


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "xy" * 32, "a" * 63])
def test_anything_else_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(VaultError) as raised:
        key_from_hex(text)
    length = len(text) // 2
    assert str(raised.value) in {
        "the key-encryption key must be 64 hex digits",
        f"a key-encryption key has 32 bytes, not {length}",
    }


def test_the_first_start_makes_a_file_that_its_owner_alone_can_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = key_from_file(path, SeededEntropy())
    assert key.reveal() == SeededEntropy().token(32)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == key.reveal().hex().upper() + "\n"
    assert list(tmp_path.iterdir()) == [path]


def test_later_starts_read_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = key_from_file(path, SeededEntropy(1))
    assert key_from_file(path, SeededEntropy(2)).reveal() == first.reveal()


def test_a_damaged_file_is_reported_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("not a key")
    with pytest.raises(VaultError):
        key_from_file(path, SeededEntropy())
    assert path.read_text() == "not a key"


def test_of_two_processes_that_start_together_the_first_makes_the_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    made: list[bytes] = []

    class Slow(SeededEntropy):
        """While it thinks, another process makes the key."""

        def token(self, size: int) -> bytes:
            made.append(key_from_file(path, SeededEntropy(1)).reveal())
            return super().token(size)

    assert key_from_file(path, Slow(2)).reveal() == made[0] == SeededEntropy(1).token(32)
    assert list(tmp_path.iterdir()) == [path]


def test_a_first_start_that_fails_leaves_no_half_written_key(tmp_path: Path) -> None:
    class Broken(SeededEntropy):
        def token(self, size: int) -> bytes:
            raise OSError(f"no {size} random bytes")

    with pytest.raises(OSError, match="no 32 random bytes"):
        key_from_file(tmp_path / "key", Broken())
    assert list(tmp_path.iterdir()) == []
    assert len(key_from_file(tmp_path / "key", SeededEntropy()).reveal()) == 32


def test_a_key_that_was_replaced_takes_no_other_key_s_name(tmp_path: Path) -> None:
    file, checks = tmp_path / "key", {}
    for version, name in ((1, "key.v1"), (2, "key"), (3, "key.next")):
        checks[key_from_file(tmp_path / name, SeededEntropy(version)).check()] = version
    texts = {path.name: path.read_text() for path in tmp_path.iterdir()}
    (tmp_path / "key.v2").write_text(texts["key.v1"])  # somebody put another one there
    active = key_from_hex(texts["key.next"]).check()
    for _ in range(2):
        settle_key_files(file, active, checks)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "key": texts["key.next"],
        "key.v1": texts["key.v1"],
        "key.v2": texts["key.v1"],
        "key.v2-2": texts["key"],
    }
    assert (tmp_path / "key.v2-2").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("known", "name"), [(True, "key.v3"), (False, "key.v1")])
def test_a_change_that_was_killed_half_way_goes_on(tmp_path: Path, known: bool, name: str) -> None:
    """The old key has its name already, and the new one not yet; a key of no known version is called the first."""
    for number, each in enumerate(("key", "key.next")):
        key_from_file(tmp_path / each, SeededEntropy(number))
    old, new = ((tmp_path / each).read_text() for each in ("key", "key.next"))
    (tmp_path / name).write_text(old)
    numbers = {key_from_hex(old).check(): 3} if known else {}
    settle_key_files(tmp_path / "key", key_from_hex(new).check(), numbers)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"key": new, name: old}


def test_no_file_stays_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(3):
        key_from_file(tmp_path / f"key-{number}", SeededEntropy(number))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
