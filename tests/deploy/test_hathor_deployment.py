"""Compose file and systemd units of the Hathor wallet service: what they set is taken, and all of it fits together."""

from pathlib import Path

import pytest

from deploy import compose, units
from strongroom.core.environment import SettingsError
from strongroom.hathor.definition import LEDGER
from strongroom.hathor.settings import HathorSettings
from strongroom.settings import Settings, read_settings

COMPOSE = compose.read("hathor.yml")
SERVICES = COMPOSE["services"]
OURS = ("daemon", "api-1", "api-2")
GIVEN = {"NETWORK": "mainnet", "DEFAULT_SERVER": "http://node:8080/v1a/"}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    for name in ("auth_secret", "database"):
        (tmp_path / name).write_text(f"the {name}, which is as long as it has to be\n")
    return tmp_path


def of_compose(service: str, secrets: Path) -> Settings:
    return read_settings(compose.variables(SERVICES[service], secrets, GIVEN), ("hathor",))


def hathor(settings: Settings) -> HathorSettings:
    found = settings.of(LEDGER)
    assert found is not None
    return found


def check(daemon: Settings, apis: list[Settings]) -> None:
    """They share database, Redis and secret; only the API processes hold the latter."""
    whole = [hathor(settings) for settings in (daemon, *apis)]
    assert len({settings.database for settings in whole}) == 1
    assert whole[0].database.password == "the database, which is as long as it has to be"
    assert {settings.redis.reveal() for settings in whole if settings.redis} == {whole[0].redis.reveal()}  # type: ignore[union-attr]  # asserted by the comparison
    assert {settings.node_url for settings in whole} == {whole[0].node_url}
    assert [len(settings.api.auth_secrets) for settings in whole] == [0, 1, 1]
    assert {settings.api.auth_secrets[0].reveal() for settings in whole[1:]} == {
        "the auth_secret, which is as long as it has to be"
    }


def test_the_compose_file_fits_together(secrets: Path) -> None:
    daemon, *apis = (of_compose(service, secrets) for service in OURS)
    check(daemon, apis)
    assert hathor(daemon).database.host in SERVICES
    assert [SERVICES[service]["command"][0] for service in OURS] == ["sync", "serve", "serve"]
    inside = {f"{hathor(apis[0]).api.port}", f"{hathor(apis[0]).sockets.port}"}
    published = [port.split(":") for service in OURS[1:] for port in SERVICES[service]["ports"]]
    assert {address for address, _outside, _inside in published} == {"127.0.0.1"}
    assert {port for _address, _outside, port in published} == inside
    assert len({outside for _address, outside, _inside in published}) == 4
    assert "ports" not in SERVICES["daemon"]


def test_what_the_compose_file_names_is_there() -> None:
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert {images[name] for name in OURS} == {"strongroom"}
    assert (compose.FOLDER / SERVICES["daemon"]["build"] / "Dockerfile").exists()
    assert set(COMPOSE["secrets"]) == {
        name for service in SERVICES.values() for name in service.get("secrets", ())
    }


def test_without_a_node_nothing_starts(secrets: Path) -> None:
    variables = {name: str(value) for name, value in SERVICES["daemon"]["environment"].items()}
    variables |= {"NETWORK": "mainnet", "DEFAULT_SERVER": "", "DB_PASS_FILE": str(secrets / "database")}
    with pytest.raises(SettingsError, match="DEFAULT_SERVER is required"):
        read_settings(variables, ("hathor",))


def test_the_units_fit_together(secrets: Path) -> None:
    daemon = units.settings("hathor", "strongroom-hathor-daemon.service", "", secrets)
    apis = [
        units.settings("hathor", "strongroom-hathor-api@.service", number, secrets) for number in ("1", "2")
    ]
    check(daemon, apis)
    assert {settings.host for settings in (daemon, *apis)} == {"127.0.0.1"}
    ports = [daemon.management_port]
    for settings in apis:
        ports += [settings.management_port, hathor(settings).api.port, hathor(settings).sockets.port]
    assert len(set(ports)) == len(ports)
    assert len({settings.data for settings in (daemon, *apis)}) == 3
