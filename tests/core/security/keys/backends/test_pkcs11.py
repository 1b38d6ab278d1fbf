"""An HSM (SoftHSM2): PINs, tokens and keys; and libraries that hang, crash and lie."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.core.errors import KeyBackendAway, VaultError
from strongroom.core.security.keys.backends.backend import DENIED, NO_KEY, REFUSED, WRONG_ANSWER, wrap_surely
from strongroom.core.security.keys.backends.pkcs11 import FORM, PROCESS, Pkcs11Backend
from strongroom.core.security.keys.backends.pkcs11_process import Answer, Outcome, Question
from strongroom.core.security.keys.backends.settings import Pkcs11Settings
from support.clock import SeededEntropy
from support.custody.houses import House, read_settings
from support.custody.softhsm import LABEL, MODULE, OFFICER_PIN, TOKEN, SoftHsm
from support.programs import program

KEY = bytes(range(100, 132))
ODD = Path(__file__).parents[4] / "support" / "custody" / "odd_module.c"


async def refusal(house: House, **changed: str) -> VaultError:
    with pytest.raises(VaultError) as refused:
        await house.backend(**changed).wrap(KEY)
    return refused.value


async def test_the_pin_may_be_in_a_file(pkcs11_house: House, tmp_path: Path) -> None:
    path = tmp_path / "pin"
    path.write_text(pkcs11_house.variables["STRONGROOM_PKCS11_PIN"] + "\n")
    in_file = {"STRONGROOM_PKCS11_PIN": "", "STRONGROOM_PKCS11_PIN_FILE": str(path)}
    backend = pkcs11_house.backend(**in_file)
    wrapped = await wrap_surely(backend, KEY)
    assert await pkcs11_house.backend().unwrap(wrapped) == KEY
    path.unlink()
    with pytest.raises(VaultError, match="STRONGROOM_PKCS11_PIN_FILE") as denied:
        await backend.unwrap(wrapped)
    assert denied.value.instance_code == DENIED


@pytest.mark.parametrize("pin", ["wrong-c4n4ry", "c", "c4n4ry" * 50, OFFICER_PIN])
async def test_a_wrong_pin_is_denied_and_its_variable_named(pkcs11_house: House, pin: str) -> None:
    denied = await refusal(pkcs11_house, STRONGROOM_PKCS11_PIN=pin)
    assert denied.instance_code == DENIED
    assert "STRONGROOM_PKCS11_PIN" in denied.message
    assert pin not in denied.message.replace("STRONGROOM_PKCS11_PIN", "").replace(LABEL, "") or pin == "c"


async def test_a_key_that_is_not_there_is_named(pkcs11_house: House) -> None:
    missing = await refusal(pkcs11_house, ATTO_KEY_BACKEND=f"pkcs11:token={TOKEN};object=nothing")
    assert missing.instance_code == NO_KEY
    assert "has no AES key 'nothing'" in missing.message


async def test_of_two_keys_none_is_chosen(pkcs11_house: House, softhsm: SoftHsm) -> None:
    softhsm.make_key(LABEL)
    several = await refusal(pkcs11_house)
    assert several.instance_code == NO_KEY
    assert "several keys" in several.message


async def test_a_key_that_can_be_taken_out_is_refused(pkcs11_house: House, softhsm: SoftHsm) -> None:
    softhsm.make_key("loose", "--extractable")
    loose = await refusal(pkcs11_house, ATTO_KEY_BACKEND=f"pkcs11:token={TOKEN};object=loose")
    assert loose.instance_code == NO_KEY
    assert "not extractable" in loose.message


async def test_another_kind_of_key_is_not_taken(pkcs11_house: House, softhsm: SoftHsm) -> None:
    softhsm.make_key("generic", kind="GENERIC:32")
    other = await refusal(pkcs11_house, ATTO_KEY_BACKEND=f"pkcs11:token={TOKEN};object=generic")
    assert other.instance_code == NO_KEY


async def test_a_token_that_is_not_there_may_come(pkcs11_house: House) -> None:
    with pytest.raises(KeyBackendAway, match="there is no token 'nobody'"):
        await pkcs11_house.backend(ATTO_KEY_BACKEND=f"pkcs11:token=nobody;object={LABEL}").wrap(KEY)


async def test_a_library_that_is_none_is_refused(pkcs11_house: House, tmp_path: Path) -> None:
    (tmp_path / "module.so").write_text("no library")
    refused = await refusal(pkcs11_house, STRONGROOM_PKCS11_MODULE=str(tmp_path / "module.so"))
    assert refused.instance_code == REFUSED
    assert "module.so does not load" in refused.message


async def test_the_token_seals_each_key_under_another_nonce(pkcs11_house: House) -> None:
    backend = pkcs11_house.backend()
    first, second = await backend.wrap(KEY), await backend.wrap(KEY)
    assert first[:1] == second[:1] == FORM
    assert first[1:13] != second[1:13]
    assert len(first) == 1 + 12 + 32 + 16


@pytest.fixture
def odd_module(tmp_path: Path) -> Callable[[float], Pkcs11Backend]:
    """A backend whose library misbehaves as ODD_MODULE says."""
    library = tmp_path / "odd.so"
    subprocess.run([program("cc"), "-shared", "-fPIC", "-o", str(library), str(ODD)], check=True)

    def make(limit_s: float) -> Pkcs11Backend:
        variables = {
            "ATTO_KEY_BACKEND": f"pkcs11:token={TOKEN};object={LABEL}",
            "STRONGROOM_PKCS11_MODULE": str(library),
            "STRONGROOM_PKCS11_PIN": "c4n4ry",
        }
        settings = read_settings(variables)
        assert isinstance(settings, Pkcs11Settings)
        return Pkcs11Backend(settings, "atto", SeededEntropy(), limit_s=limit_s)

    return make


def left_processes() -> list[str]:
    """The processes of questions that this process has started and that have not ended."""
    own = Path("/proc/self/task")
    numbers = [number for task in own.iterdir() for number in (task / "children").read_text().split()]
    commands = [Path(f"/proc/{number}/cmdline").read_text() for number in numbers]
    return [command for command in commands if PROCESS in command]


async def test_a_library_that_hangs_is_ended_at_the_limit(
    odd_module: Callable[[float], Pkcs11Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODD_MODULE", "hang")
    with pytest.raises(KeyBackendAway, match="does not answer within"):
        await odd_module(1.0).wrap(KEY)
    assert left_processes() == []


async def test_a_library_that_crashes_takes_nothing_with_it(
    odd_module: Callable[[float], Pkcs11Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODD_MODULE", "crash")
    with pytest.raises(KeyBackendAway, match="its library ended with status -6"):
        await odd_module(60.0).wrap(KEY)


async def test_what_a_library_writes_is_no_answer(
    odd_module: Callable[[float], Pkcs11Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODD_MODULE", "write")
    with pytest.raises(KeyBackendAway, match="there is no token"):
        await odd_module(60.0).wrap(KEY)


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(33)], ids=len)
async def test_a_plaintext_that_is_no_key_is_refused(
    pkcs11_house: House, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    async def lying(_self: Pkcs11Backend, *_: object) -> bytes:
        return data

    monkeypatch.setattr(Pkcs11Backend, "_ask", lying)
    with pytest.raises(VaultError) as refused:
        await pkcs11_house.backend().unwrap(FORM + bytes(60))
    assert refused.value.instance_code == WRONG_ANSWER


def test_neither_question_nor_answer_shows_its_secret() -> None:
    question = Question(
        operation="encrypt",
        module=MODULE,
        token=TOKEN,
        label=LABEL,
        pin="c4n4ry",
        nonce=b"",
        bound=b"",
        data=b"c4n4ry",
    )
    assert "c4n4ry" not in repr(question) + repr(Answer(outcome=Outcome.DONE, data=b"c4n4ry"))
