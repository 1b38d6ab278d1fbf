"""`strongroom config`: what is set, what counts, what is misspelt; never a secret."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.processes import strongroom

SECRET = "3141592653589793238462643383279502884197"
ATTO = {"NETWORK": "live", "NODE_BASE_URL": "https://user:pass@node.example/key-of-a-provider?k=secret"}


def run(variables: Mapping[str, str], *options: str, status: int = 0) -> tuple[str, str]:
    """What it prints, and what it says on the standard error."""
    with strongroom("config", *options, environment=variables) as process:
        assert process.wait_end() == status, process.logs()
        return "\n".join(process.stdout), "\n".join(process.stderr)


def document(variables: Mapping[str, str], *options: str, status: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(variables, "--json", *options, status=status)[0])
    return found


def values(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["name"]: (one["value"], one["source"]) for one in found["variables"]}


def test_it_shows_what_is_set_and_where_it_comes_from(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    found = document(
        ATTO
        | {"ATTO_DB_HOST": "db", "ATTO_DB_PASSWORD_FILE": str(secret)}
        | {"BT_PW__A": "x", "STRONGROOM_DATA": str(tmp_path)}
    )
    shown = values(found)
    assert shown["NODE_BASE_URL"] == ("https://node.example/…", "environment")
    assert shown["ATTO_DB_PASSWORD"] == ("[set]", str(secret))
    assert "ATTO_SCAN_LIMIT" not in shown
    assert found["databases"] == {"atto": "mysql+asyncmy://root:***@db:3306/atto?charset=utf8mb4"}
    assert found["mistakes"] == []
    assert list(tmp_path.iterdir()) == [secret], "it makes nothing"


def test_all_adds_the_defaults(tmp_path: Path) -> None:
    shown = values(document(ATTO | {"STRONGROOM_DATA": str(tmp_path)}, "--all"))
    assert shown["ATTO_SCAN_LIMIT"] == ("10000", "default")
    assert shown["STRONGROOM_DATA"] == (str(tmp_path), "environment")


def test_every_mistake_is_told_and_the_status_is_2(tmp_path: Path) -> None:
    found = document(
        ATTO | {"ATTO_SCAN_LIMT": "1", "ATTO_PORT": "x", "STRONGROOM_DATA": str(tmp_path)}, status=2
    )
    assert found["mistakes"] == [
        "ATTO_SCAN_LIMT is no variable of this service; is ATTO_SCAN_LIMIT meant?",
        "ATTO_PORT: must be a whole number, not 'x'",
    ]
    _, told = run(ATTO | {"ATTO_SCAN_LIMT": "1"}, status=2)
    assert "strongroom: ATTO_SCAN_LIMT is no variable of this service" in told


def test_no_secret_is_shown(tmp_path: Path) -> None:
    secrets = {
        "AUTH_SECRET": SECRET,
        "CHA_CHA20_KEY_ENCRYPTION_KEY": "AB" * 31 + "CD",
        "REDIS_URL": f"redis://:{SECRET}@cache",
        "STRONGROOM_UNSEAL_KEY": SECRET,
        "VAULT_TOKEN": SECRET,
        "STRONGROOM_ATTO_TOKEN": SECRET,
        "CALLBACK_URL": f"https://hooks.example/{SECRET}",
    }
    for options in (("--all",), ("--json",)):
        variables = ATTO | secrets | {"ATTO_PORT": "x", "STRONGROOM_DATA": str(tmp_path)}
        printed = run(variables, *options, status=2)
        text = "".join(printed)
        assert SECRET not in text
        assert "AB" * 31 not in text
        assert "pass@" not in text
        assert "key-of-a-provider" not in text
