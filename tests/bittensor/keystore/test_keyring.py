"""Keys in the clear: opened once, forgotten in time, never opened when their file or row was tampered with."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.bittensor.keystore import keyring as keyring_module
from strongroom.bittensor.keystore.decryption import unlock
from strongroom.bittensor.keystore.holdings import KEYS
from strongroom.bittensor.keystore.keyfile_folder import WalletFolder
from strongroom.bittensor.keystore.keyring import KeyFiles, Keyring
from strongroom.bittensor.keystore.names import coldkey, hotkey
from strongroom.bittensor.keystore.wallets import NewKey, Wallets
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.environment import Secret
from strongroom.core.errors import Conflict, Locked, NotFound, VaultError
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.keys.ring import ring_of
from strongroom.core.security.vault import KeyEncryptionKey, Vault
from strongroom.core.storage.database import Database
from support.bittensor_service import VECTORS, write_wallet
from support.clock import ManualClock, SeededEntropy
from support.trail import open_trail, verify

KEY = hotkey("miner", "h")
COLD = coldkey("miner")
ADDRESS = VECTORS["legacy_ansible_vault"]["expected"]["ss58"]
CACHE_S = 60
PASSWORD = "legacy-pw"
HOT = Keypair.from_uri("//Hot")

Make = Callable[..., Keyring]


@pytest.fixture
def unlocked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every key file that was really opened."""
    seen: list[bytes] = []

    async def note(data: bytes, password: str | None) -> Keypair:
        seen.append(data)
        return await unlock(data, password)

    monkeypatch.setattr(keyring_module, "unlock", note)
    return seen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_wallet(tmp_path, "legacy_ansible_vault", "miner", coldkey="hotkeys/h")
    return tmp_path


@pytest.fixture
def vault(entropy: SeededEntropy) -> Vault:
    return Vault(ring_of(KeyEncryptionKey(bytes(32))), entropy)


@pytest.fixture
def bindings() -> Bindings:
    return Bindings(ring_of(KeyEncryptionKey(bytes(32))), KEYS)


@pytest.fixture
def refused() -> list[tuple[str, str]]:
    """The keys that a keyring refused, and why."""
    return []


@pytest.fixture
def make(
    database: Database,
    vault: Vault,
    bindings: Bindings,
    folder: Path,
    clock: ManualClock,
    refused: list[tuple[str, str]],
) -> Make:
    def keyring(
        password: str | None = PASSWORD, *, cache_s: int = CACHE_S, other: Vault | None = None
    ) -> Keyring:
        return Keyring(
            database=database,
            vault=other or vault,
            bindings=bindings,
            files=KeyFiles(
                folder=WalletFolder(folder), variables={}, general=Secret(password) if password else None
            ),
            clock=clock,
            cache_s=cache_s,
            refused=lambda name, why: refused.append((name, why)),
        )

    return keyring


@pytest.fixture
def wallets(database: Database, vault: Vault, bindings: Bindings, clock: ManualClock) -> Wallets:
    return Wallets(
        database=database,
        vault=vault,
        bindings=bindings,
        folder=None,
        audit=Audit(clock, open_trail()),
        clock=clock,
    )


async def store(wallets: Wallets, keypair: Keypair, *, secret: bool = True) -> None:
    new = NewKey(key=KEY, public_key=keypair.public_key, keypair=keypair if secret else None)
    await wallets.import_(OPERATOR, [new])


async def test_a_key_is_opened_once_for_those_who_come_together(make: Make, unlocked: list[bytes]) -> None:
    keyring = make()
    keys = await asyncio.gather(*(keyring.open(KEY) for _ in range(5)))
    assert {key.address for key in keys} == {ADDRESS}
    assert len(unlocked) == 1


async def test_an_unused_key_is_forgotten(make: Make, unlocked: list[bytes], clock: ManualClock) -> None:
    keyring = make()
    for pause_s, opened in ((0, 1), (CACHE_S - 1, 1), (CACHE_S - 1, 1), (CACHE_S, 2)):
        clock.advance(pause_s)
        await keyring.open(KEY)
        assert len(unlocked) == opened
    clock.advance(CACHE_S)
    keyring.forget_unused()
    assert keyring._opened == {}


async def test_without_a_time_to_live_nothing_stays(make: Make, unlocked: list[bytes]) -> None:
    keyring = make(cache_s=0)
    await keyring.open(KEY)
    await keyring.open(KEY)
    assert len(unlocked) == 2
    assert keyring._opened == {}


async def test_a_changed_file_is_read_again(make: Make, folder: Path) -> None:
    keyring = make()
    await keyring.open(KEY)
    found = write_wallet(folder, "mnemonic_24", "miner", **{"hotkeys/h": "hotkeys/h"})
    assert (await keyring.open(KEY)).address == found["expected"]["ss58"]
    (folder / "miner/hotkeys/h").unlink()
    with pytest.raises(NotFound):
        await keyring.open(KEY)


async def test_a_wrong_password_is_tried_once(make: Make, unlocked: list[bytes], folder: Path) -> None:
    keyring = make("open sesame")
    for _ in range(3):
        with pytest.raises(Locked, match="does not open"):
            await keyring.open(KEY)
    assert len(unlocked) == 1
    write_wallet(folder, "seed_only", "miner", **{"hotkeys/h": "hotkeys/h"})
    await keyring.open(KEY)


async def test_the_coldkey_is_not_opened_for_its_address(
    make: Make, folder: Path, unlocked: list[bytes]
) -> None:
    write_wallet(folder, "legacy_ansible_vault", "miner", coldkey="coldkey")
    keyring = make()
    with pytest.raises(Locked):
        await keyring.public(COLD)
    assert (await keyring.info("miner", "h")).coldkey_address is None
    assert len(unlocked) == 1  # the hotkey, which has no public file either
    assert (await keyring.open(COLD)).address == ADDRESS


async def test_a_public_file_of_another_key_is_believed_by_nobody(make: Make, folder: Path) -> None:
    (folder / "miner/hotkeys/hpub.txt").write_text(f'{{"ss58Address": "{HOT.address}"}}')
    with pytest.raises(VaultError, match="public file is that of another key"):
        await make().open(KEY)


async def test_damaged_files_are_told(make: Make, folder: Path) -> None:
    (folder / "miner/hotkeys/h").write_bytes(b"x" * 70_000)
    for ask in (make().open(KEY), make().public(KEY)):
        with pytest.raises(VaultError, match="too large"):
            await ask


async def test_a_key_of_the_vault_goes_before_one_of_the_folder(make: Make, wallets: Wallets) -> None:
    await store(wallets, HOT)
    assert (await make().public(KEY)).address == HOT.address
    assert (await make().open(KEY)).address == HOT.address


async def test_an_address_in_the_vault_may_have_its_secret_in_the_folder(
    make: Make, wallets: Wallets
) -> None:
    await store(wallets, HOT, secret=False)
    with pytest.raises(VaultError, match="another key in the folder than in the vault"):
        await make().open(KEY)
    await wallets.remove(OPERATOR, KEY)
    found = await make().open(KEY)
    await store(wallets, found, secret=False)
    assert (await make().open(KEY)).address == ADDRESS


async def test_an_address_alone_does_not_sign(make: Make, wallets: Wallets, folder: Path) -> None:
    (folder / "miner/hotkeys/h").unlink()
    await store(wallets, HOT, secret=False)
    with pytest.raises(Locked, match="address alone"):
        await make().open(KEY)
    await store(wallets, HOT)
    assert (await make().open(KEY)).address == HOT.address


async def test_a_name_keeps_its_key(wallets: Wallets, database: Database) -> None:
    await store(wallets, HOT)
    rows = await verify(database)
    await store(wallets, HOT)
    assert await verify(database) == rows
    with pytest.raises(Conflict):
        await store(wallets, Keypair.from_uri("//Other"))


async def test_a_row_sealed_elsewhere_or_altered_opens_nothing(
    make: Make, wallets: Wallets, entropy: SeededEntropy, elsewhere: Callable[[str], list[list[str]]]
) -> None:
    await store(wallets, HOT)
    with pytest.raises(VaultError, match="another key-encryption key"):
        await make(other=Vault(ring_of(KeyEncryptionKey(b"1" * 32)), entropy)).open(KEY)
    other = Keypair.from_uri("//Other").public_key.hex()
    elsewhere(f"UPDATE strongroom_bittensor_key SET public_key = x'{other}'")  # noqa: S608 - ours
    with pytest.raises(VaultError, match="was altered in the database"):
        await make().open(KEY)


async def test_the_secret_is_sealed_in_its_row(
    wallets: Wallets, elsewhere: Callable[[str], list[list[str]]]
) -> None:
    await store(wallets, HOT)
    ((sealed,),) = elsewhere("SELECT hex(sealed_secret) FROM strongroom_bittensor_key")
    assert len(sealed) == 2 * 92
    assert HOT.secret().hex().upper() not in sealed


async def test_a_file_that_is_replaced_while_it_is_read_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stamp is that of what was read: otherwise the old key would sign on in place of the new one."""
    path = folder / "miner" / "hotkeys" / "h"
    newer = folder / "newer"
    newer.write_bytes(b"the newer file")
    stat = Path.stat

    def replace_first(self: Path, **options: bool) -> os.stat_result:
        if self == path and newer.exists():
            newer.replace(path)
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", replace_first)
    first = WalletFolder(folder).key_file(KEY)
    if newer.exists():
        newer.replace(path)
    second = WalletFolder(folder).key_file(KEY)
    assert first is not None
    assert second is not None
    assert first.data != second.data
    assert first.stamp != second.stamp
