"""Keys that are given in variables or in files that they name, together with the ones that follow."""

from pathlib import Path

import pytest

from strongroom.core.environment import Environment
from strongroom.core.errors import VaultError
from strongroom.core.security.keys.source import KeySource, is_guessable, read_key_source
from support.keys import KEY, OTHER_KEY

VARIABLE = "ATTO_KEY"
NEXT = f"{VARIABLE}_NEXT"
THIRD_KEY = "6B0D2E94F1A7C385D2E6490B7F1C8A35E09D4B62C7F1385A0E9D6B24C1F7A583"


def read(folder: Path, **variables: str) -> tuple[KeySource, list[str]]:
    environment = Environment(variables)
    source = read_key_source(environment, ledger="atto", variable=VARIABLE, file=folder / "atto.kek")
    return source, environment.mistakes


def key_file(path: Path, text: str = KEY) -> Path:
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return path


def found(source: KeySource) -> list[tuple[str, str]]:
    return [(one.key.reveal().hex().upper(), one.origin) for one in source.found()]


def test_the_configured_key_is_found_first_and_the_next_one_after_it(tmp_path: Path) -> None:
    source, mistakes = read(tmp_path, **{VARIABLE: KEY, NEXT: OTHER_KEY})
    assert mistakes == []
    assert found(source) == [(KEY, VARIABLE), (OTHER_KEY, NEXT)]
    key = source.load()
    assert key is not None
    assert key.reveal().hex().upper() == KEY
    assert found(read(tmp_path, **{VARIABLE: KEY})[0]) == [(KEY, VARIABLE)]


def test_a_next_key_alone_is_a_mistake(tmp_path: Path) -> None:
    assert read(tmp_path, **{NEXT: KEY})[1] == [f"{NEXT} is set, and {VARIABLE} is not: set both"]


def test_each_key_is_checked_where_it_is(tmp_path: Path) -> None:
    assert read(tmp_path, **{VARIABLE: KEY, NEXT: "ab"})[1] == [
        f"{NEXT}: a key-encryption key has 32 bytes, not 1"
    ]
    (mistake,) = read(tmp_path, **{VARIABLE: KEY, NEXT: "00" * 32})[1]
    assert mistake.startswith(f"{NEXT}: the key is zeros or a pattern")


def test_an_installation_s_own_keys_are_its_file_the_next_one_and_the_earlier_ones(tmp_path: Path) -> None:
    assert found(read(tmp_path)[0]) == []
    for name, text in (("atto.kek.v1", THIRD_KEY), ("atto.kek.next", OTHER_KEY), ("atto.kek", KEY)):
        key_file(tmp_path / name, text)
    source, mistakes = read(tmp_path)
    assert mistakes == []
    assert found(source) == [
        (KEY, str(tmp_path / "atto.kek")),
        (OTHER_KEY, str(tmp_path / "atto.kek.next")),
        (THIRD_KEY, str(tmp_path / "atto.kek.v1")),
    ]
    assert source.next_file == tmp_path / "atto.kek.next"
    assert source.origin == str(tmp_path / "atto.kek")


def test_a_file_that_a_variable_names_is_read_each_time(tmp_path: Path) -> None:
    """So that a process which is sealed does not have it in memory."""
    path = key_file(tmp_path / "kek")
    source, mistakes = read(tmp_path, **{f"{VARIABLE}_FILE": str(path)})
    origin = f"{VARIABLE}_FILE ({path})"
    assert (mistakes, source.origin, found(source)) == ([], origin, [(KEY, origin)])
    assert repr(source.given) == "[in a file]"
    assert KEY not in repr(source)
    key_file(path, OTHER_KEY)
    assert found(source) == [(OTHER_KEY, origin)]
    path.write_bytes(b"\xff")
    with pytest.raises(VaultError, match="it is not text") as raised:
        source.found()
    assert raised.value.instance_code == "key_file"
    path.unlink()
    with pytest.raises(VaultError, match="No such file") as raised:
        source.load()
    assert raised.value.instance_code == "key_file"
    assert raised.value.message.startswith(origin)


def test_a_variable_is_believed_before_the_file_that_another_one_names(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    source, mistakes = read(tmp_path, **{VARIABLE: KEY, NEXT: OTHER_KEY, f"{NEXT}_FILE": str(path)})
    assert mistakes
    assert found(source)[0] == (KEY, VARIABLE)


EIGHT = bytes([1, 5, 2, 9, 4, 8, 3, 7])


@pytest.mark.parametrize(
    ("key", "guessable"),
    [
        (EIGHT * 4, True),
        ((EIGHT + bytes(range(50, 66, 2))) * 2, True),
        (bytes(number % 256 for number in range(240, 272)), True),
        (EIGHT[:7] * 4 + EIGHT[3:7], True),
        (EIGHT * 3 + EIGHT[::-1], False),
        (bytes.fromhex(KEY), False),
    ],
)
def test_which_keys_are_easy_to_guess(key: bytes, *, guessable: bool) -> None:
    assert len(key) == 32
    assert is_guessable(key) is guessable
