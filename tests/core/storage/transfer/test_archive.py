"""A backup opens with its key alone, and no fault of it goes unseen."""

import base64
import os
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest

from strongroom.atto.definition import REVISIONS as ATTO
from strongroom.core.clock import SystemEntropy
from strongroom.core.storage.database import sqlite_url
from strongroom.core.storage.transfer import age
from strongroom.core.storage.transfer.archive import (
    FORMAT,
    MANIFEST,
    Archived,
    BackupError,
    Key,
    Manifest,
    archive,
    check,
    opened,
    read_manifest,
    write_manifest,
)
from strongroom.core.storage.transfer.copying import silent
from support.databases import execute_elsewhere
from support.schema import Schemas

pytestmark = pytest.mark.anyio

# Made by another program (rage): an identity, and `hello` encrypted to it (with a stanza of no meaning) and to a passphrase.
IDENTITY = "AGE-SECRET-KEY-13C5X0CMGFXLRVJM0XLXVP8L6FM0CM4UDU8HKZP9Q0JLHV86462YS882TGH"
RECIPIENT = "age1q2dfg95mra686vfm4gh3ucsqafxslxzgm7y74htsg5rr2gf6x4pqcw4lux"
TO_IDENTITY = base64.b64decode(
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBtZW5qdy9BSFovWDFhNWxISVRDUTdtbVFIdFhqaEtaa3JJUG1CZm5wMTJZCjhmNWNNSExVSWNiem9L"
    "YzJ6OUhCUTZkcUtabmZSMzR3YmFEdVROYmxQZ1kKLT4gb3tHPXE0LWdyZWFzZQpVNVRTSVl6QVpWd1AyZU9QOXRTUWRVSjl6cm9tNzJHNEg3STY0MDVFWjBV"
    "aVMzWEhzWStWdCtKT3F0SlBLUjN1CkN4S2tFa3ZHbDZ0Wms4OS8KLS0tIFpTdzJJSmFCUEYvUWJETnA4bzhzck5icjd3aFd1dGlDbHJYYURINUxGU00KtWYE"
    "eV6j5NZ+QmAwvOxqVKU9rSEq+XVNi+QztY/d2pVXipHY3Q=="
)
PASSPHRASE = "correct horse"
TO_PASSPHRASE = base64.b64decode(
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBSR2tZTTZHa0RkSkRpM2NaS3dHaTB3IDE5CmxyclBuc2FvR3EyYmJVRWpBNnBzZmlmZFl1aEswWDhz"
    "OW41OFhEMC9xcTQKLS0tIHpxOTFTWnZsSmgwQU1BU0lXQTBZV3dwL0tDYzVJTEhBUitnWkdUNWJnNFkKeiYBBFR115tgJEtGdwJw5IXVZBmitLCJx9NEk5/g"
    "dSS3AhiisQ=="
)


def decrypted(data: bytes, *keys: Key) -> bytes:
    target = BytesIO()
    age.decrypt(BytesIO(data), target, keys)
    return target.getvalue()


def encrypted(data: bytes) -> bytes:
    target = BytesIO()
    age.encrypt(BytesIO(data), target, [age.Recipient(RECIPIENT)], SystemEntropy())
    return target.getvalue()


def test_files_of_another_program() -> None:
    assert decrypted(TO_IDENTITY, age.Identity(IDENTITY)) == b"hello"
    assert decrypted(TO_PASSPHRASE, age.Identity(IDENTITY), age.Passphrase(PASSPHRASE)) == b"hello"
    with pytest.raises(age.WrongKey):
        decrypted(TO_PASSPHRASE, age.Identity(IDENTITY))
    with pytest.raises(ValueError, match="mistake"):
        age.Recipient(RECIPIENT[:-1] + "q")


@pytest.mark.parametrize("size", [0, 1, age.PIECE, 2 * age.PIECE + 5])
def test_no_part_may_be_cut_or_changed(size: int) -> None:
    data = os.urandom(size)
    kept, key = encrypted(data), age.Identity(IDENTITY)
    assert decrypted(kept, key) == data
    for place in {30, 100, len(kept) // 2, len(kept) - 1}:
        changed = bytearray(kept)
        changed[place] ^= 1
        with pytest.raises((age.NotAge, age.WrongKey)):
            decrypted(bytes(changed), key)
    for cut in {0, 10, len(kept) - 1, len(kept) - size % age.PIECE - age.TAG}:
        with pytest.raises((age.NotAge, age.WrongKey)):
            decrypted(kept[:cut], key)


@pytest.fixture
async def backup(schemas: Schemas, tmp_path: Path) -> Path:
    """A folder with an encrypted backup of one ledger."""
    source = schemas.fill(sqlite_url(str(tmp_path / "atto.sqlite3")), (ATTO,))
    folder = tmp_path / "backup"
    folder.mkdir()
    lock = age.Recipient(RECIPIENT)
    made = await archive(
        source, (ATTO,), folder / "atto.sqlite3", locks=[lock], entropy=SystemEntropy(), scratch=tmp_path
    )
    manifest = Manifest(format=FORMAT, version="1", made_at="", ledgers={"atto": made})
    write_manifest(folder, manifest)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def look(folder: Path, *keys: Key) -> None:
    archived = read_manifest(folder).ledgers["atto"]
    with opened(folder, archived, keys, folder.parent) as plain:
        await check(plain, archived, (ATTO,), silent)


async def code_of(folder: Path, *keys: Key) -> str:
    with pytest.raises(BackupError) as caught:
        await look(folder, *keys)
    assert caught.value.instance_code in caught.value.message
    return caught.value.instance_code


def rewritten(folder: Path, **changes: object) -> None:
    manifest = read_manifest(folder)
    one: Archived = manifest.ledgers["atto"]
    (folder / MANIFEST).unlink()
    fields = {name: getattr(one, name) for name in one.__struct_fields__}
    write_manifest(
        folder,
        Manifest(format=FORMAT, version="1", made_at="", ledgers={"atto": Archived(**fields | changes)}),
    )


async def test_every_fault_has_its_code(backup: Path) -> None:
    file, key = backup / "atto.sqlite3.age", age.Identity(IDENTITY)
    before = contents(backup)
    await look(backup, key)
    assert await code_of(backup) == "backup_encrypted"
    assert await code_of(backup, age.Passphrase("another")) == "backup_key_wrong"
    assert contents(backup) == before
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:5000] + b"?" + whole[5001:]):
        file.write_bytes(damaged)
        assert await code_of(backup, key) == "backup_damaged"
    # Whoever changes the manifest too does not change what is sealed.
    rewritten(backup, sha256=sha256(file.read_bytes()).hexdigest())
    assert await code_of(backup, key) == "backup_damaged"
    file.write_bytes(whole)
    rewritten(backup, sha256=sha256(whole).hexdigest(), hashes={})
    assert await code_of(backup, key) == "backup_damaged"
    file.unlink()
    assert await code_of(backup, key) == "backup_incomplete"
    # Another file in its place, which nobody encrypted.
    (backup / "atto.sqlite3").write_bytes(b"foreign")
    rewritten(backup, file="atto.sqlite3", size=7, sha256=sha256(b"foreign").hexdigest())
    assert await code_of(backup, key) == "backup_not_encrypted"
    for text, code in (
        ("{", "backup_damaged"),
        ('{"format":1,"version":"9","made_at":"","ledgers":{}}', "backup_damaged"),
        ('{"format":0,"version":"9","made_at":"","ledgers":{}}', "backup_damaged"),
        ('{"format":2,"version":"9","ledgers":["atto"]}', "backup_newer"),
    ):
        (backup / MANIFEST).write_text(text)
        assert await code_of(backup, key) == code
    (backup / MANIFEST).unlink()
    assert await code_of(backup, key) == "backup_incomplete"
    assert [path.name for path in backup.parent.iterdir() if path.name.startswith(".")] == []


async def test_lost_rows_of_the_trail_are_found(schemas: Schemas, tmp_path: Path) -> None:
    source = schemas.fill(sqlite_url(str(tmp_path / "atto.sqlite3")), (ATTO,))
    execute_elsewhere(source, "UPDATE strongroom_audit_lane SET number = 3 WHERE lane = 0")
    execute_elsewhere(
        source, "INSERT OR IGNORE INTO strongroom_audit_lane VALUES (0, 3, 3, x'00', NULL, 0, 0)"
    )
    with pytest.raises(BackupError, match="backup_trail_broken"):
        await archive(
            source, (ATTO,), tmp_path / "backup.sqlite3", locks=[], entropy=SystemEntropy(), scratch=tmp_path
        )
    assert not (tmp_path / "backup.sqlite3").exists()
