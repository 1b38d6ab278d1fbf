"""The variables of TLS: common ones, one surface's own, and mistakes."""

from pathlib import Path

import pytest

from strongroom.core.environment import Environment
from strongroom.core.http.tls.settings import ClientCertificates, TlsSettings, read_tls

SURFACES = ("management", "toy", "toy-ws")
COMMON = {"STRONGROOM_TLS_CERTIFICATE": "/c.pem", "STRONGROOM_TLS_KEY": "/c.key"}
USUAL = TlsSettings(certificate=Path("/c.pem"), key=Path("/c.key"))


def read(**variables: str) -> dict[str, TlsSettings]:
    environment = Environment(variables)
    found = read_tls(environment, SURFACES)
    assert environment.mistakes == []
    return found


def mistake(**variables: str) -> str:
    environment = Environment(variables)
    read_tls(environment, SURFACES)
    (found,) = environment.mistakes
    return found


def test_without_a_certificate_nothing_speaks_tls() -> None:
    assert read() == {}


def test_a_common_certificate_is_every_surface_s() -> None:
    assert read(**COMMON) == dict.fromkeys(SURFACES, USUAL)
    assert read(**COMMON, STRONGROOM_TLS_EXCEPT="management, toy-ws") == {"toy": USUAL}


def test_the_key_may_lie_in_the_certificate_s_file() -> None:
    assert read(STRONGROOM_TLS_CERTIFICATE="/c.pem")["toy"].key == Path("/c.pem")
    assert read(STRONGROOM_TLS_CERTIFICATE="/c.pem")["toy"].files == (Path("/c.pem"),)


def test_a_surface_s_own_variables_count_instead() -> None:
    found = read(**COMMON, TOY_WS_TLS_CERTIFICATE="/own.pem", TOY_TLS_CLIENT_CA="/ca.pem")
    assert found["toy-ws"] == TlsSettings(certificate=Path("/own.pem"), key=Path("/own.pem"))
    assert found["management"] == USUAL
    assert (found["toy"].certificate, found["toy"].client_ca) == (Path("/c.pem"), Path("/ca.pem"))
    assert found["toy"].clients is ClientCertificates.OPTIONAL
    alone = read(TOY_TLS_CERTIFICATE="/own.pem", STRONGROOM_TLS_EXCEPT="toy")
    assert alone.keys() == {"toy"}


def test_who_must_present_a_certificate_is_said() -> None:
    found = read(
        **COMMON,
        STRONGROOM_TLS_CLIENT_CA="/ca.pem",
        STRONGROOM_TLS_CLIENT_CRL="/crl.pem",
        STRONGROOM_TLS_CLIENT_CERTIFICATES="required",
        MANAGEMENT_TLS_CLIENT_CERTIFICATES="none",
    )
    assert {name: each.clients.value for name, each in found.items()} == {
        "management": "none",
        "toy": "required",
        "toy-ws": "required",
    }
    assert [str(path) for path in found["toy"].files] == ["/c.pem", "/c.key", "/ca.pem", "/crl.pem"]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"TOY_TLS_KEY": "/c.key"}, "there is no TOY_TLS_CERTIFICATE or STRONGROOM_TLS_CERTIFICATE"),
        ({"TOY_TLS_CERTIFICATE": "/c", "TOY_TLS_CLIENT_CRL": "/l"}, "no STRONGROOM_TLS_CLIENT_CA says whose"),
        (
            {"TOY_TLS_CERTIFICATE": "/c", "TOY_TLS_CLIENT_CERTIFICATES": "required"},
            "asks for client certificates",
        ),
        ({"STRONGROOM_TLS_EXCEPT": "tyo"}, "STRONGROOM_TLS_EXCEPT names unknown surfaces: tyo"),
    ],
)
def test_a_mistake_is_told(variables: dict[str, str], words: str) -> None:
    assert words in mistake(**variables)


def test_a_word_that_is_none_is_told() -> None:
    words = {"TOY_TLS_CERTIFICATE": "/c", "TOY_TLS_CLIENT_CA": "/a", "TOY_TLS_CLIENT_CERTIFICATES": "maybe"}
    assert "maybe" in mistake(**words)
