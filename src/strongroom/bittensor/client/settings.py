"""Reads where the service is. Arguments take precedence over the environment, and the environment over the defaults."""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEFAULT_URL = "http://localhost:8000"
DEFAULT_TOKEN = "default-token"  # noqa: S105 - the published default, good for a sandbox only
COOL_DOWN_S = 60.0
ARGUMENTS = {
    "service_url": "URL of the wallet service",
    "service_token": "token of the wallet service",
    "service_token_file": "file that holds the token of the wallet service",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    url: str = DEFAULT_URL
    token: str = field(default=DEFAULT_TOKEN, repr=False)
    state: Path | None = None
    """Folder that remembers requests without a known end over restarts."""
    cool_down_s: float = COOL_DOWN_S
    """For how long a service that is away is not asked again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--wallet.service_url`, `--wallet.service_token` and `--wallet.service_token_file`.

    For any parser, before or after the SDK added its own arguments.
    """
    known = {option for action in parser._actions for option in action.option_strings}  # noqa: SLF001 - argparse tells it no other way
    for name, meaning in ARGUMENTS.items():
        if f"--wallet.{name}" not in known:
            parser.add_argument(f"--wallet.{name}", default=None, help=meaning)


def read_settings(config: Any = None, environment: Mapping[str, str] | None = None) -> ServiceSettings:
    """Reads a config of the SDK, an `argparse.Namespace`, a mapping or None, then the environment.

    Variables: `WALLET_SERVICE_URL`, `WALLET_SERVICE_TOKEN`, `WALLET_SERVICE_TOKEN_FILE`, `WALLET_SERVICE_STATE`,
    `WALLET_SERVICE_COOL_DOWN_S`.

    Raises:
        ValueError: the cool-down is no number of seconds.
        OSError: the token's file cannot be read.
    """
    variables = os.environ if environment is None else environment
    token_file = _argument(config, "service_token_file") or variables.get("WALLET_SERVICE_TOKEN_FILE")
    token = _argument(config, "service_token")
    if token is None and _argument(config, "service_token_file") is None:
        token = variables.get("WALLET_SERVICE_TOKEN")
    if token is None and token_file:
        token = Path(token_file).read_text().strip()
    return ServiceSettings(
        url=_argument(config, "service_url") or variables.get("WALLET_SERVICE_URL") or DEFAULT_URL,
        token=(token or "").strip() or DEFAULT_TOKEN,
        state=_state(variables),
        cool_down_s=_seconds(variables, "WALLET_SERVICE_COOL_DOWN_S", COOL_DOWN_S),
    )


def _argument(config: Any, name: str) -> str | None:
    """The argument `wallet.<name>`, however this kind of config holds it."""
    if config is None:
        return None
    if isinstance(config, Mapping):
        wallet = config.get("wallet")
        value = config.get(f"wallet.{name}", wallet.get(name) if isinstance(wallet, Mapping) else None)
    else:
        value = getattr(config, f"wallet.{name}", None) or getattr(
            getattr(config, "wallet", None), name, None
        )
    return value if isinstance(value, str) and value else None


def _state(variables: Mapping[str, str]) -> Path | None:
    """`WALLET_SERVICE_STATE`; empty: keep nothing."""
    named = variables.get("WALLET_SERVICE_STATE")
    if named is not None:
        return Path(named) if named else None
    home = variables.get("XDG_STATE_HOME") or str(
        Path(variables.get("HOME") or "~").expanduser() / ".local/state"
    )
    return Path(home) / "strongroom" / "wallet-service"


def _seconds(variables: Mapping[str, str], name: str, default: float) -> float:
    text = variables.get(name) or str(default)
    try:
        return max(0.0, float(text))
    except ValueError:
        raise ValueError(f"{name} must be a number of seconds, not {text!r}") from None
