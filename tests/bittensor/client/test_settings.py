"""Arguments beat the environment, which beats the defaults."""

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from strongroom.bittensor.client.settings import add_arguments, read_settings

URL = "http://vault:8000"


def test_the_published_defaults() -> None:
    settings = read_settings(environment={})
    assert (settings.url, settings.token) == ("http://localhost:8000", "default-token")
    assert "default-token" not in repr(settings)


@pytest.mark.parametrize(
    "config",
    [
        {"wallet": {"service_url": URL, "service_token": "t"}},
        {"wallet.service_url": URL, "wallet.service_token": "t"},
        SimpleNamespace(wallet=SimpleNamespace(service_url=URL, service_token="t")),
    ],
)
def test_an_argument_beats_the_environment(config: Any) -> None:
    environment = {"WALLET_SERVICE_URL": "http://other:1", "WALLET_SERVICE_TOKEN": "other"}
    settings = read_settings(config, environment)
    assert (settings.url, settings.token) == (URL, "t")


def test_any_parser_takes_the_arguments_once() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--wallet.name")
    add_arguments(parser)
    add_arguments(parser)
    settings = read_settings(parser.parse_args(["--wallet.service_url", URL]), {"WALLET_SERVICE_TOKEN": "t"})
    assert (settings.url, settings.token) == (URL, "t")


def test_a_token_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert read_settings(environment={"WALLET_SERVICE_TOKEN_FILE": str(file)}).token == "from-file"
    argument = {"wallet.service_token_file": str(file)}
    assert read_settings(argument, {"WALLET_SERVICE_TOKEN": "other"}).token == "from-file"


def test_where_requests_are_remembered() -> None:
    assert read_settings(environment={"WALLET_SERVICE_STATE": "/s"}).state == Path("/s")
    assert read_settings(environment={"WALLET_SERVICE_STATE": ""}).state is None
    assert read_settings(environment={"XDG_STATE_HOME": "/x"}).state == Path("/x/strongroom/wallet-service")


def test_the_cool_down_is_a_number() -> None:
    assert read_settings(environment={"WALLET_SERVICE_COOL_DOWN_S": "5"}).cool_down_s == 5
    with pytest.raises(ValueError, match="WALLET_SERVICE_COOL_DOWN_S"):
        read_settings(environment={"WALLET_SERVICE_COOL_DOWN_S": "soon"})
