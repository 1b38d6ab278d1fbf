"""Fixtures: real backends of key-encryption keys. Each starts with the first test that asks for it."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from support.custody.houses import House
from support.custody.moto import CREDENTIALS, Moto, running_moto
from support.custody.openbao import KEY, OpenBao, running_openbao
from support.custody.softhsm import LABEL, TOKEN, SoftHsm
from support.custody.switch import Switch


@pytest.fixture(scope="session")
def openbao() -> Iterator[OpenBao]:
    with running_openbao() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    with running_moto() as server:
        yield server


@pytest.fixture
def softhsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    hsm = SoftHsm(tmp_path / "hsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(hsm.configuration))
    return hsm


@pytest.fixture
def vault_house(openbao: OpenBao) -> House:
    def other() -> str:
        name = f"other-{uuid4()}"
        openbao.make_key(name)
        return f"vault:transit/keys/{name}"

    token = openbao.token(policies=["root"])
    return House(
        name="vault",
        variables={"VAULT_ADDR": openbao.url, "VAULT_TOKEN": token},
        reference=f"vault:transit/keys/{KEY}",
        leave=openbao.seal,
        come_back=openbao.unseal,
        other_key=other,
    )


@pytest.fixture
def kms_house(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with Switch(moto.port) as switch:
        yield House(
            name="kms",
            variables={**moto.variables(), "AWS_ENDPOINT_URL_KMS": switch.url},
            reference=f"kms:{moto.new_key()}",
            leave=switch.off,
            come_back=switch.on,
            other_key=lambda: f"kms:{moto.new_key()}",
        )


@pytest.fixture
def pkcs11_house(softhsm: SoftHsm) -> House:
    def other() -> str:
        softhsm.make_key("other")
        return f"pkcs11:token={TOKEN};object=other"

    return House(
        name="pkcs11",
        variables=softhsm.variables(),
        reference=f"pkcs11:token={TOKEN};object={LABEL}",
        leave=softhsm.take_away,
        come_back=softhsm.bring_back,
        other_key=other,
    )


@pytest.fixture(params=["vault", "kms", "pkcs11"])
def house(request: pytest.FixtureRequest) -> House:
    """Each backend."""
    found: House = request.getfixturevalue(f"{request.param}_house")
    return found
