"""Key-encryption keys that are refused, and the messages to the operator."""

import os
from pathlib import Path

import pytest

from strongroom.core.environment import Environment
from strongroom.core.errors import VaultError
from strongroom.core.security.keys.source import KeySource, read_key_source
from support.keys import KEY

VARIABLE = "CHA_CHA20_KEY_ENCRYPTION_KEY"
WEAK = {
    "zeros": "00" * 32,
    "ones": "FF" * 32,
    "two values": "0102" * 16,
    "a half twice": KEY[:32] * 2,
    "counting": bytes(range(32)).hex(),
    "counting down": bytes(range(200, 168, -1)).hex(),
    "few values": (b"\x00" * 29 + b"abc").hex(),
}


def read(folder: Path, **variables: str) -> tuple[KeySource, list[str]]:
    environment = Environment(variables)
    source = read_key_source(environment, ledger="atto", variable=VARIABLE, file=folder / "atto.kek")
    return source, environment.mistakes


def key_file(path: Path, text: str = KEY, mode: int = 0o600) -> Path:
    path.write_text(f"{text}\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("key", WEAK.values(), ids=WEAK)
def test_a_key_that_can_be_guessed_is_refused_with_a_way_out(tmp_path: Path, key: str) -> None:
    _, mistakes = read(tmp_path, **{VARIABLE: key})
    (mistake,) = mistakes
    assert mistake.startswith(f"{VARIABLE}: the key is zeros or a pattern")
    assert mistake.endswith("add atto to STRONGROOM_ALLOW_WEAK_KEYS")
    assert key not in mistake
    source, mistakes = read(tmp_path, **{VARIABLE: key, "STRONGROOM_ALLOW_WEAK_KEYS": "bittensor, atto"})
    loaded = source.load()
    assert mistakes == []
    assert loaded is not None
    assert loaded.reveal().hex() == key.lower()
    assert len(read(tmp_path, **{VARIABLE: key, "STRONGROOM_ALLOW_WEAK_KEYS": "bittensor"})[1]) == 1


def test_a_weak_key_in_the_installation_s_file_is_refused(tmp_path: Path) -> None:
    path = key_file(tmp_path / "atto.kek", "00" * 32)
    source, mistakes = read(tmp_path)
    assert mistakes == []
    with pytest.raises(VaultError, match=f"{path}: the key is zeros") as raised:
        source.load()
    assert raised.value.instance_code == "weak_key"


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666, 0o602, 0o601])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path / "atto.kek", mode=mode)
    source, _ = read(tmp_path)
    with pytest.raises(
        VaultError, match=f"other users may read it .mode {mode:04o}.: run chmod o="
    ) as raised:
        source.load()
    assert str(path) in raised.value.message
    elsewhere = key_file(tmp_path / "kek", mode=mode)
    _, mistakes = read(tmp_path, **{f"{VARIABLE}_FILE": str(elsewhere)})
    (mistake,) = mistakes
    assert mistake.startswith(f"{VARIABLE}_FILE: {elsewhere}: other users may read it")
    assert mistake.endswith("add atto to STRONGROOM_ALLOW_READABLE_KEYS")


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o660])
def test_a_file_for_its_owner_or_its_group_is_taken(tmp_path: Path, mode: int) -> None:
    key_file(tmp_path / "atto.kek", mode=mode)
    loaded = read(tmp_path)[0].load()
    assert loaded is not None
    assert loaded.reveal().hex().upper() == KEY


def test_a_readable_key_file_is_accepted_when_the_operator_allows_it(tmp_path: Path) -> None:
    """A link to a link to a file that all users may read, in a container without other users."""
    versioned = tmp_path / "..2026_11_30"
    versioned.mkdir()
    key_file(versioned / "kek", mode=0o644)
    (tmp_path / "..data").symlink_to(versioned.name)
    (tmp_path / "kek").symlink_to("..data/kek")
    variables = {f"{VARIABLE}_FILE": str(tmp_path / "kek")}
    assert len(read(tmp_path, **variables)[1]) == 1
    source, mistakes = read(tmp_path, **variables, STRONGROOM_ALLOW_READABLE_KEYS="atto")
    assert mistakes == []
    assert source.load() is not None
    (versioned / "kek").chmod(0o440)  # defaultMode: 0440 and fsGroup
    assert read(tmp_path, **variables)[1] == []


def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.fail("Only root gives files away: run the tests as root")
    path = key_file(tmp_path / "atto.kek")
    os.chown(path, 4711, -1)
    with pytest.raises(VaultError, match="it belongs to the user 4711"):
        read(tmp_path)[0].load()
    source, _ = read(tmp_path, STRONGROOM_ALLOW_READABLE_KEYS="atto")
    assert source.load() is not None


def test_a_file_that_is_not_a_key_file_is_named_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "atto.kek"
    source, _ = read(tmp_path)
    assert source.load() is None
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(VaultError, match="No such file"):
        source.load()
    path.unlink()
    path.mkdir()
    with pytest.raises(VaultError, match="it is not a regular file"):
        source.load()
    path.rmdir()
    os.mkfifo(path, 0o600)
    with pytest.raises(VaultError, match="it is not a regular file"):
        source.load()
    path.unlink()
    key_file(path, "")
    with pytest.raises(VaultError, match="the file is empty"):
        source.load()
    key_file(path, "\xff not a key")
    with pytest.raises(VaultError, match="must be 64 hex digits"):
        source.load()


def test_a_key_may_come_through_a_pipe(tmp_path: Path) -> None:
    """As from a shell's <(pass show kek)."""
    reading, writing = os.pipe()
    os.write(writing, f"{KEY}\n".encode())
    os.close(writing)
    source, mistakes = read(tmp_path, **{f"{VARIABLE}_FILE": f"/dev/fd/{reading}"})
    os.close(reading)
    assert mistakes == []
    assert source.given is not None
    assert source.given.reveal() == KEY
