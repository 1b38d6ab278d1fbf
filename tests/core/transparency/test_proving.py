"""Receipts prove one payment to anybody with the public key, offline, and nothing else."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core.errors import NotFound
from strongroom.core.storage.database import Database
from strongroom.core.transparency import checker, making
from strongroom.core.transparency.checker import NotProven, check, check_receipt
from strongroom.core.transparency.checkpoint import Checkpoint, CheckpointsBroken, document_of
from strongroom.core.transparency.proving import NotCovered
from support.clock import ManualClock
from support.trails import LANE, Trail

pytestmark = pytest.mark.anyio
MAX_RECEIPT = 1024


@pytest.fixture
def trail(database: Database, clock: ManualClock) -> Trail:
    return Trail(database=database, clock=clock)


async def test_every_payment_of_several_checkpoints_is_proven(trail: Trail) -> None:
    payments = []
    for number in range(7):
        payments.append(await trail.pay(number, account=f"account {number % 2}"))
        await trail.record("in between")
        if number % 3 == 2:
            await trail.checkpoints.make()
        trail.clock.advance(600)
    await trail.checkpoints.make()
    key = trail.checkpoints.public_key
    for number, payment in enumerate(payments):
        found = check_receipt(await trail.proofs.receipt(payment), key, payment)
        assert (found["ledger"], found["payment"]) == ("toy", payment.hex())
        assert found["checkpoint"] == number // 3 + 1
        assert (found["lane"], found["number"]) == (LANE, number * 2 + 1)
        with pytest.raises(NotProven, match="is of the payment"):
            check_receipt(await trail.proofs.receipt(payment), key, bytes(31) + b"\x63")


async def test_a_receipt_of_the_largest_checkpoint_has_at_most_a_kibibyte(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path has as many hashes as the batch's size has bits, whatever the size of the trail."""
    monkeypatch.setattr(making, "MAX_BATCH", 8)
    payments = [await trail.pay(number) for number in range(8)]
    await trail.checkpoints.make()
    receipts = [await trail.proofs.receipt(payment) for payment in payments]
    at_most_8 = len(base64.urlsafe_b64decode(receipts[0] + "==="))
    deeper = (making.MAX_BATCH.bit_length() - 1, (1 << 14).bit_length() - 1)
    assert deeper == (3, 14)
    longest = at_most_8 + (14 - 3) * 32 + len("bittensor") - len("toy")
    assert (longest * 4 + 2) // 3 <= MAX_RECEIPT
    assert all(len(one) <= MAX_RECEIPT for one in receipts)


def test_no_checkpoint_has_more_rows_than_that() -> None:
    assert making.MAX_BATCH == 1 << 14


async def test_a_payment_that_no_checkpoint_covers_says_how_to_get_one(trail: Trail) -> None:
    await trail.checkpoints.make()
    payment = await trail.pay(1)
    with pytest.raises(NotCovered, match="strongroom audit checkpoint"):
        await trail.proofs.receipt(payment)
    await trail.checkpoints.make()
    assert check(await trail.proofs.receipt(payment), trail.checkpoints.public_key)["checkpoint"] == 2


async def test_a_row_whose_clock_was_ahead_is_proven_too(trail: Trail) -> None:
    trail.clock.advance(100_000)
    payment = await trail.pay(1)
    trail.clock.advance(-100_000)
    await trail.checkpoints.make()
    assert check(await trail.proofs.receipt(payment), trail.checkpoints.public_key)["checkpoint"] == 1


async def test_of_what_is_not_there_nothing_is_proven(trail: Trail) -> None:
    payment = await trail.pay(1)
    await trail.record("alice", "sign", hash="zz", kind="SEND")
    await trail.checkpoints.make()
    with pytest.raises(NotFound, match="no payment with this id"):
        await trail.proofs.receipt(bytes(32))
    await trail.sql("UPDATE strongroom_audit SET details = '{}' WHERE action = 'sign'")
    with pytest.raises(NotFound, match="has no row that names this payment"):
        await trail.proofs.receipt(payment)


async def test_rows_that_were_changed_are_not_proven(trail: Trail) -> None:
    payment = await trail.pay(1)
    await trail.record("b")
    await trail.checkpoints.make()
    await trail.sql("UPDATE strongroom_audit SET principal = 'token:eve' WHERE subject = 'b'")
    with pytest.raises(CheckpointsBroken, match="audit verify"):
        await trail.proofs.receipt(payment)


@pytest.fixture
async def proven(trail: Trail) -> tuple[str, bytes]:
    for number in range(5):
        await trail.pay(number)
    await trail.checkpoints.make()
    return await trail.proofs.receipt((3).to_bytes(32, "big")), trail.checkpoints.public_key


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_flipped_bit_and_no_other_length_goes_unseen(proven: tuple[str, bytes]) -> None:
    receipt, key = proven
    raw = base64.urlsafe_b64decode(receipt + "=" * (-len(receipt) % 4))

    def text(changed: bytes) -> str:
        return base64.urlsafe_b64encode(changed).decode().rstrip("=")

    assert check_receipt(text(raw), key)["payment"] == (3).to_bytes(32, "big").hex()
    for place in range(len(raw)):
        for bit in range(8):
            changed = bytes([*raw[:place], raw[place] ^ 1 << bit, *raw[place + 1 :]])
            with pytest.raises(NotProven):
                check_receipt(text(changed), key)
    for length in range(len(raw)):
        with pytest.raises(NotProven):
            check_receipt(text(raw[:length]), key)
    for more in (b"\x00", bytes(32)):
        with pytest.raises(NotProven):
            check_receipt(text(raw + more), key)
    with pytest.raises(NotProven, match="not signed with this key"):
        check_receipt(receipt, bytes(32))
    with pytest.raises(NotProven, match="not signed with this key"):
        check_receipt(receipt, b"short")


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
def test_whatever_else_is_given_is_no_receipt(text: str) -> None:
    with pytest.raises(NotProven):
        check(text, bytes(32))


async def test_a_later_checkpoint_is_proven_to_continue_an_earlier_one(trail: Trail) -> None:
    made = list[Checkpoint]()
    for number in range(6):
        await trail.record(str(number))
        made += await trail.checkpoints.make()
    key = trail.checkpoints.public_key
    for first in range(1, 7):
        for last in range(first, 7):
            proof = await trail.proofs.consistency(first, last)
            assert check(json.dumps(proof), key) == {"ledger": "toy", "earlier": first, "later": last}
    assert check(json.dumps(document_of(made[2])), key)["checkpoint"] == 3
    for numbers in ((2, 7), (0, 3), (4, 3)):
        with pytest.raises(NotFound, match="There are no checkpoints"):
            await trail.proofs.consistency(*numbers)


async def test_a_proof_that_was_changed_proves_nothing(trail: Trail) -> None:
    for _ in range(6):
        await trail.checkpoints.make()
    key = trail.checkpoints.public_key
    proof = await trail.proofs.consistency(3, 6)
    others = await trail.proofs.consistency(2, 5)
    forged: list[dict[str, Any]] = [
        proof | {"path": proof["path"][1:]},
        proof | {"path": [*proof["path"], "00" * 32]},
        proof | {"earlier": others["earlier"]},
        proof | {"later": others["later"]},
        proof | {"earlier": proof["later"], "later": proof["earlier"]},
        proof | {"earlier": proof["earlier"] | {"rows": 9}},
        proof | {"later": proof["later"] | {"ledger": "other"}},
        proof | {"later": {}},
        proof | {"path": 7},
        proof | {"path": ["x"]},
    ]
    for each in forged:
        with pytest.raises(NotProven):
            check(json.dumps(each), key)
    for text in ("{", "{}", '{"path": []}', "{" * 100_000, '{"signature": 1}'):
        with pytest.raises(NotProven):
            check(text, key)


async def test_no_checkpoint_and_no_proof_passes_for_the_receipt_of_a_payment(trail: Trail) -> None:
    payment = await trail.pay(1)
    made = [*await trail.checkpoints.make(), *await trail.checkpoints.make()]
    key = trail.checkpoints.public_key
    one = document_of(made[0]) | {"payment": payment.hex()}
    for text in (json.dumps(one), json.dumps(await trail.proofs.consistency(1, 2))):
        with pytest.raises(NotProven, match="says nothing of the payment"):
            check(text, key, payment)
    assert check(json.dumps(one), key) == document_of(made[0])  # what is not signed is not shown as proven


@pytest.mark.parametrize(
    "changed",
    [
        {"root": "{root}00"},
        {"batchRoot": "{batchRoot}ff"},
        {"ledger": 7},
        {"ledger": "toy" * 99},
        {"at": 7},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"checkpoint": 2**70},
        {"rows": None},
        {"checkpoint": 1e400},
    ],
)
async def test_a_checkpoint_has_no_other_form(trail: Trail, changed: dict[str, Any]) -> None:
    """Packing cuts a hash that is too long, so that the signature would fit a longer one too."""
    await trail.record("a")
    (made,) = await trail.checkpoints.make()
    good = document_of(made)
    filled = {
        name: value.format(**good) if isinstance(value, str) else value for name, value in changed.items()
    }
    with pytest.raises(NotProven):
        check(json.dumps(good | filled), trail.checkpoints.public_key)
    short = good | {"previous": ""}  # 32 zero bytes are packed for none
    with pytest.raises(NotProven):
        check(json.dumps(short), trail.checkpoints.public_key)


async def test_the_checker_runs_alone(proven: tuple[str, bytes], tmp_path: Path) -> None:
    """Copied into an empty folder, in a Python that finds nothing of this house."""
    receipt, key = proven
    run_alone(receipt, key, tmp_path)


def run_alone(receipt: str, key: bytes, folder: Path) -> None:
    copy = folder / "checker.py"
    shutil.copy(str(checker.__file__), copy)
    (folder / "receipt").write_text(receipt + "\n")
    payment = (3).to_bytes(32, "big").hex()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        hidden = "import sys; sys.modules['strongroom'] = None; import runpy; sys.argv = sys.argv[1:]; "
        program = f"{hidden}runpy.run_path(sys.argv[0], run_name='__main__')"
        command = [sys.executable, "-I", "-c", program, str(copy), *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)

    for given_as in (receipt, "receipt"):
        done = run(given_as, "--key", key.hex(), "--payment", payment)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["payment"] == payment
    other = run("receipt", "--key", key.hex(), "--payment", "00" * 32)
    assert (other.returncode, other.stdout) == (1, "")
    assert "is of the payment" in other.stderr
    assert run("receipt", "--key", "00" * 32).returncode == 1
    assert run("receipt", "--key", "xyz").returncode == 1
