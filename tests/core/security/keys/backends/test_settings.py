"""The variables of key backends, and what an operator is told about the wrong ones."""

from pathlib import Path

import pytest

from strongroom.core.environment import Environment
from strongroom.core.security.keys.backends import settings as module
from strongroom.core.security.keys.backends.settings import (
    NAMES,
    AppRole,
    BackendSettings,
    GivenSecret,
    KmsSettings,
    Pkcs11Settings,
    VaultSettings,
    read_key_backends,
)
from support.custody.houses import read_settings
from support.custody.softhsm import MODULE

VAULT = {
    "ATTO_KEY_BACKEND": "vault:transit/keys/wallets",
    "VAULT_ADDR": "https://vault.example:8200/",
    "VAULT_TOKEN": "s.c4n4ry",
}
ARN = "arn:aws:kms:eu-west-1:123456789012:key/0afb8cd2-32d3-4d61-96ad-39bfbce26b8c"
KMS = {"ATTO_KEY_BACKEND": f"kms:{ARN}"}
PKCS11 = {
    "ATTO_KEY_BACKEND": "pkcs11:token=my%20token;object=kek",
    "STRONGROOM_PKCS11_MODULE": MODULE,
    "STRONGROOM_PKCS11_PIN": "c4n4ry",
}


def read(variables: dict[str, str], **changed: str) -> tuple[tuple[BackendSettings, ...], list[str]]:
    environment = Environment({**variables, **changed})
    return read_key_backends(environment, ledger="atto"), environment.mistakes


def test_without_the_variable_there_is_no_backend_and_nothing_else_is_read() -> None:
    environment = Environment({"VAULT_ADDR": "no URL", "BITTENSOR_KEY_BACKEND": "kms:alias/x"})
    assert read_key_backends(environment, ledger="atto") == ()
    assert environment.mistakes == []
    assert set(NAMES) <= environment.names_read


def test_vault_is_read() -> None:
    settings = read_settings({**VAULT, "VAULT_NAMESPACE": "team"})
    assert isinstance(settings, VaultSettings)
    assert (settings.reference, settings.url) == ("vault:transit/keys/wallets", "https://vault.example:8200")
    assert (settings.mount, settings.name, settings.namespace) == ("transit", "wallets", "team")
    assert isinstance(settings.credential, GivenSecret)
    assert settings.credential.read() == "s.c4n4ry"
    assert "c4n4ry" not in repr(settings)


def test_the_mount_may_have_several_parts() -> None:
    settings = read_settings({**VAULT, "ATTO_KEY_BACKEND": "vault:team/a/transit/keys/wallets"})
    assert isinstance(settings, VaultSettings)
    assert settings.mount == "team/a/transit"


def test_a_role_authenticates_instead_of_a_token(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("c4n4ry\n")
    role = {"VAULT_TOKEN": "", "VAULT_ROLE_ID": "role", "VAULT_SECRET_ID_FILE": str(tmp_path / "secret")}
    settings = read_settings({**VAULT, **role, "VAULT_APPROLE_MOUNT": "machines"})
    assert isinstance(settings, VaultSettings)
    assert isinstance(settings.credential, AppRole)
    assert (settings.credential.role_id, settings.credential.mount) == ("role", "machines")
    assert settings.credential.secret_id.read() == "c4n4ry"


def test_kms_takes_the_region_from_the_key_or_from_the_variable() -> None:
    by_arn = read_settings({**KMS, "AWS_REGION": "us-east-1"})
    assert isinstance(by_arn, KmsSettings)
    assert (by_arn.key_id, by_arn.region, by_arn.endpoint) == (ARN, "eu-west-1", None)
    by_alias = read_settings({"ATTO_KEY_BACKEND": "kms:alias/wallets", "AWS_DEFAULT_REGION": "us-east-1"})
    assert isinstance(by_alias, KmsSettings)
    assert (by_alias.key_id, by_alias.region) == ("alias/wallets", "us-east-1")


def test_the_endpoint_of_kms_goes_before_that_of_all_of_aws() -> None:
    both = {"AWS_ENDPOINT_URL": "https://aws.example", "AWS_ENDPOINT_URL_KMS": "https://kms.example/"}
    settings = read_settings({**KMS, **both})
    assert isinstance(settings, KmsSettings)
    assert settings.endpoint == "https://kms.example"
    settings = read_settings({**KMS, "AWS_ENDPOINT_URL": "https://aws.example"})
    assert isinstance(settings, KmsSettings)
    assert settings.endpoint == "https://aws.example"


def test_pkcs11_is_read_from_its_uri() -> None:
    settings = read_settings(PKCS11)
    assert isinstance(settings, Pkcs11Settings)
    assert (settings.token, settings.label, settings.module) == ("my token", "kek", Path(MODULE))
    assert settings.pin.read() == "c4n4ry"
    assert "c4n4ry" not in repr(settings)


@pytest.mark.parametrize(
    "text",
    [
        "vault",
        "vault:transit/wallets",
        "vault:transit/keys/",
        "vault:/keys/wallets",
        "vault:transit/keys/a/b",
        "vault:transit/keys/a?b",
        "vault:transit//keys/a",
        "kms:",
        "kms:arn:aws:s3:::bucket",
        "kms:alias/x y",
        "pkcs11:token=a",
        "pkcs11:token=a;object=",
        "pkcs11:token=a;object=b;object=c",
        "pkcs11:token=a;object=b;pin-value=1234",
        "hsm:a",
    ],
)
def test_what_names_no_key_is_refused(text: str) -> None:
    found, (mistake,) = read(VAULT, ATTO_KEY_BACKEND=text)
    assert found == ()
    assert mistake.startswith("ATTO_KEY_BACKEND must be vault:MOUNT/keys/NAME, kms:KEY or pkcs11:token=")


@pytest.mark.parametrize(
    ("variables", "changed", "named"),
    [
        (VAULT, {"VAULT_ADDR": ""}, "VAULT_ADDR is required"),
        (VAULT, {"VAULT_ADDR": "vault.example"}, "VAULT_ADDR must be an http or https URL"),
        (VAULT, {"VAULT_ADDR": "http://vault.example"}, "VAULT_ADDR must begin with https"),
        (VAULT, {"VAULT_TOKEN": ""}, "VAULT_TOKEN, VAULT_TOKEN_FILE, or VAULT_ROLE_ID"),
        (VAULT, {"VAULT_TOKEN_FILE": "/x"}, "VAULT_TOKEN and VAULT_TOKEN_FILE are both set"),
        (VAULT, {"VAULT_TOKEN": "", "VAULT_TOKEN_FILE": "/nowhere"}, "VAULT_TOKEN_FILE: /nowhere"),
        (VAULT, {"VAULT_TOKEN": "a\nb"}, "VAULT_TOKEN must be one line"),
        (VAULT, {"VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": "s"}, "VAULT_TOKEN and VAULT_ROLE_ID are both set"),
        (VAULT, {"VAULT_TOKEN": "", "VAULT_ROLE_ID": "r"}, "VAULT_SECRET_ID or VAULT_SECRET_ID_FILE"),
        (VAULT, {"VAULT_CACERT": "/nowhere.pem"}, "VAULT_CACERT: there is no file /nowhere.pem"),
        (KMS, {"ATTO_KEY_BACKEND": "kms:alias/x"}, "AWS_REGION is required"),
        (KMS, {"ATTO_KEY_BACKEND": "kms:alias/x", "AWS_REGION": "http://"}, "AWS_REGION must be a region"),
        (KMS, {"AWS_ENDPOINT_URL_KMS": "http://kms.example"}, "AWS_ENDPOINT_URL_KMS must begin with https"),
        (KMS, {"AWS_ENDPOINT_URL": "http://aws.example"}, "AWS_ENDPOINT_URL must begin with https"),
        (KMS, {"AWS_CA_BUNDLE": "/nowhere.pem"}, "AWS_CA_BUNDLE: there is no file /nowhere.pem"),
        (PKCS11, {"STRONGROOM_PKCS11_MODULE": ""}, "STRONGROOM_PKCS11_MODULE is required"),
        (PKCS11, {"STRONGROOM_PKCS11_MODULE": "/x.so"}, "STRONGROOM_PKCS11_MODULE: there is no file /x.so"),
        (PKCS11, {"STRONGROOM_PKCS11_PIN": ""}, "STRONGROOM_PKCS11_PIN or STRONGROOM_PKCS11_PIN_FILE"),
    ],
)
def test_a_mistake_names_its_variable(variables: dict[str, str], changed: dict[str, str], named: str) -> None:
    _, mistakes = read(variables, **changed)
    assert [mistake for mistake in mistakes if mistake.startswith(named)], mistakes
    assert not any("c4n4ry" in mistake for mistake in mistakes)


@pytest.mark.parametrize("url", ["http://localhost:8200", "http://127.0.0.1:8200", "http://[::1]:8200"])
def test_this_machine_needs_no_tls(url: str) -> None:
    found, mistakes = read(VAULT, VAULT_ADDR=url)
    assert mistakes == []
    assert len(found) == 1


def test_plain_http_is_allowed_by_the_ledger_s_name() -> None:
    plain = {"VAULT_ADDR": "http://vault.example"}
    assert read(VAULT, **plain, STRONGROOM_ALLOW_PLAIN_KEY_BACKENDS="bittensor")[1] != []
    assert read(VAULT, **plain, STRONGROOM_ALLOW_PLAIN_KEY_BACKENDS="bittensor,atto")[1] == []


@pytest.mark.parametrize(("variables", "extra"), [(KMS, "kms"), (PKCS11, "pkcs11")], ids=["kms", "pkcs11"])
def test_a_missing_package_is_named_by_its_extra(
    variables: dict[str, str], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    _, (mistake,) = read(variables)
    assert mistake.startswith("ATTO_KEY_BACKEND: the package")
    assert mistake.endswith(f"install strongroom[{extra}]")


def test_a_secret_s_file_is_read_each_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    given = GivenSecret(variable="VAULT_TOKEN_FILE", file=path)
    assert given.read() == "first"
    path.write_text("second")
    assert given.read() == "second"


@pytest.mark.parametrize(
    ("content", "why"), [(b" \n", "is empty"), (b"a\nb", "more than one line"), (b"\xff", "is not text")]
)
def test_a_secret_s_file_that_has_none_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"VAULT_TOKEN_FILE: .*{why}"):
        GivenSecret(variable="VAULT_TOKEN_FILE", file=path).read()


def test_a_second_backend_follows_the_first() -> None:
    found, mistakes = read(
        {**VAULT, **KMS, "ATTO_KEY_BACKEND": VAULT["ATTO_KEY_BACKEND"]}, ATTO_KEY_BACKEND_NEXT=f"kms:{ARN}"
    )
    assert mistakes == []
    assert [one.reference for one in found] == [VAULT["ATTO_KEY_BACKEND"], f"kms:{ARN}"]


def test_what_follows_needs_something_to_follow() -> None:
    assert read({}, ATTO_KEY_BACKEND_NEXT=f"kms:{ARN}")[1] == [
        "ATTO_KEY_BACKEND_NEXT is set, and ATTO_KEY_BACKEND is not: set both"
    ]
    assert "is the same as" in read(KMS, ATTO_KEY_BACKEND_NEXT=f"kms:{ARN}")[1][0]


def test_a_name_that_the_database_has_no_room_for_is_refused() -> None:
    longest = "vault:transit/keys/" + "x" * (190 - len("vault:transit/keys/"))
    assert read(VAULT, ATTO_KEY_BACKEND=longest)[1] == []
    assert read(VAULT, ATTO_KEY_BACKEND=longest + "x")[1] == ["ATTO_KEY_BACKEND has more than 190 characters"]
