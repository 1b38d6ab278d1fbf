"""Variables of the Atto ledger: the original's names and defaults, every mistake named, nothing exposed by accident."""

from pathlib import Path

import pytest

from strongroom.atto.definition import LEDGER
from strongroom.atto.protocol import Address, Network
from strongroom.atto.settings import AttoSettings
from strongroom.core.environment import SettingsError
from strongroom.settings import read_settings
from support.atto_service import NOBODY
from support.keys import KEY

REQUIRED = {"NETWORK": "live", "NODE_BASE_URL": "http://node:8080/"}
EVERYWHERE = "0.0.0.0"  # noqa: S104 - read, never bound


def atto(**variables: str) -> AttoSettings:
    settings = read_settings(REQUIRED | variables).of(LEDGER)
    assert settings is not None
    return settings


def mistakes(variables: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        read_settings(variables, ("atto",))
    return raised.value.mistakes


def test_defaults() -> None:
    settings = atto()
    assert settings.network is Network.LIVE
    assert (settings.host, settings.port, settings.require_token) == ("127.0.0.1", 8080, False)
    assert settings.node_url == "http://node:8080"
    assert (settings.work_url, settings.work_timeout_s, settings.work_fallback) == (None, 300, False)
    assert str(settings.database) == "sqlite:///data/atto.sqlite3"
    assert (settings.key.given, settings.key.file) == (None, Path("data/atto.kek"))
    assert (settings.callback_url, settings.callback_header) == (None, None)
    assert (settings.default_representative, settings.receive_minimum_raw) == (None, 1)
    assert (settings.scan_limit, settings.request_timeout_s) == (10_000, 55)
    assert read_settings(REQUIRED).management_port == 8081


def test_database_host_means_mysql_with_the_originals_defaults() -> None:
    assert str(atto(ATTO_DB_HOST="db").database) == "mysql+asyncmy://root:***@db:3306/atto?charset=utf8mb4"
    named = {"ATTO_DB_PORT": "3307", "ATTO_DB_NAME": "w", "ATTO_DB_USER": "u", "ATTO_DB_PASSWORD": "p@:/"}
    url = atto(ATTO_DB_HOST="db", **named).database
    assert (url.host, url.port, url.database, url.username, url.password) == ("db", 3307, "w", "u", "p@:/")


@pytest.mark.parametrize("name", ["local", "LOCAL", "Local"])
def test_network_is_read_in_any_case(name: str) -> None:
    assert atto(NETWORK=name).network is Network.LOCAL


def test_own_name_of_the_network_wins() -> None:
    assert atto(ATTO_NETWORK="beta", NETWORK="98").network is Network.BETA


def test_callback_url_is_kept_to_the_letter() -> None:
    url = "https://shop.example/hook/?a=1"
    settings = atto(CALLBACK_URL=url, CALLBACK_HEADER_KEY="X-Key", CALLBACK_HEADER_VALUE="secret")
    assert settings.callback_url == url
    assert settings.callback_header is not None
    assert (settings.callback_header[0], settings.callback_header[1].reveal()) == ("X-Key", "secret")
    assert atto(CALLBACK_HEADER_KEY="X-Key").callback_header is None


def test_representative_is_a_path_or_a_uri() -> None:
    for text in (NOBODY, f"atto://{NOBODY}"):
        assert atto(ATTO_DEFAULT_REPRESENTATIVE=text).default_representative == Address.parse(NOBODY)


def test_secrets_are_not_shown() -> None:
    settings = atto(
        CHA_CHA20_KEY_ENCRYPTION_KEY=KEY,
        ATTO_DB_HOST="db",
        ATTO_DB_PASSWORD="open-sesame",
        CALLBACK_HEADER_KEY="X-Key",
        CALLBACK_HEADER_VALUE="open-sesame",
    )
    assert KEY[:8] not in repr(settings)
    assert "open-sesame" not in repr(settings)


def test_secrets_may_lie_in_files(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    path.touch(mode=0o600)
    path.write_text(f"{KEY}\n")
    source = atto(CHA_CHA20_KEY_ENCRYPTION_KEY_FILE=str(path)).key
    assert source.given is not None
    assert source.given.reveal() == KEY
    assert source.origin == f"CHA_CHA20_KEY_ENCRYPTION_KEY_FILE ({path})"


def test_every_mistake_is_named() -> None:
    found = mistakes(
        {
            "NETWORK": "moon",
            "WORK_BASE_URL": "work",
            "ATTO_REQUIRE_TOKEN": "maybe",
            "ATTO_SCAN_LIMIT": "0",
            "ATTO_RECEIVE_MINIMUM_RAW": "dust",
            "ATTO_DEFAULT_REPRESENTATIVE": "somebody",
            "CALLBACK_URL": "shop.example",
            "CHA_CHA20_KEY_ENCRYPTION_KEY": "00",
        }
    )
    named = (
        "NODE_BASE_URL is required",
        "NETWORK: ",
        "WORK_BASE_URL must be",
        "ATTO_REQUIRE_TOKEN must be",
        "ATTO_SCAN_LIMIT must be",
        "ATTO_RECEIVE_MINIMUM_RAW: ",
        "ATTO_DEFAULT_REPRESENTATIVE: ",
        "CALLBACK_URL must be",
        "CHA_CHA20_KEY_ENCRYPTION_KEY: ",
    )
    assert len(found) == len(named)
    for words in named:
        assert [line for line in found if line.startswith(words)], words


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_surface_without_tokens_listens_on_loopback(host: str) -> None:
    assert atto(STRONGROOM_HOST=host).host == host


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "10.0.0.7", "strongroom.example"])
def test_surface_without_tokens_listens_nowhere_else(host: str) -> None:
    found = mistakes(REQUIRED | {"STRONGROOM_HOST": host})
    assert [line.partition(" would let the network reach the ")[2].split()[0] for line in found] == [
        "atto",
        "management",
    ]


def test_tokens_or_the_operators_word_open_a_surface() -> None:
    everywhere = {"STRONGROOM_HOST": EVERYWHERE}
    (left,) = mistakes(REQUIRED | everywhere | {"ATTO_REQUIRE_TOKEN": "true"})
    assert "the management surface" in left
    (left,) = mistakes(REQUIRED | everywhere | {"STRONGROOM_ALLOW_UNAUTHENTICATED": "management"})
    assert "the atto surface" in left
    for allowed in ("atto,management", " management , atto "):
        assert atto(**everywhere, STRONGROOM_ALLOW_UNAUTHENTICATED=allowed).host == EVERYWHERE
    tokens = {"ATTO_REQUIRE_TOKEN": "true", "STRONGROOM_ALLOW_UNAUTHENTICATED": "management"}
    assert atto(**everywhere, **tokens).require_token


def test_word_about_an_unknown_surface_is_a_mistake() -> None:
    (found,) = mistakes(REQUIRED | {"STRONGROOM_ALLOW_UNAUTHENTICATED": "atto,everything"})
    assert found == "STRONGROOM_ALLOW_UNAUTHENTICATED names unknown surfaces: everything"
