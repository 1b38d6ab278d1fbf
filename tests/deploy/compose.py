"""The compose files as Compose reads them: with what they include, and with variables put in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy import dockerfile

FOLDER = Path(__file__).parents[2] / "deploy" / "compose"
FILES = tuple(sorted(FOLDER.glob("*.yml")))
GIVEN = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def read(name: str) -> dict[str, Any]:
    """The file of this name, or the one that it includes."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    if "include" in found:
        (included,) = found["include"]
        found = yaml.safe_load((FOLDER / included["path"]).read_text())
    return found


def given(text: str, environment: Mapping[str, str]) -> str:
    """Compose's substitution: `${NAME:-default}`, and `${NAME:?why}`, without which nothing starts."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        set_to = environment.get(name)
        assert set_to or kind == "-", f"{name} is required: {rest}"
        return set_to or rest

    return GIVEN.sub(value, text)


def required(file: Mapping[str, Any]) -> set[str]:
    """The variables without which Compose starts nothing."""
    return {
        name for name, kind, _rest in GIVEN.findall(yaml.safe_dump(dict(file), width=10_000)) if kind == "?"
    }


def variables(service: Mapping[str, Any], secrets: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """As the process reads them: ENV of the image, then the file's, with its secrets in the folder `secrets`."""
    mounted = set(service.get("secrets", ()))
    found = dockerfile.environment(dockerfile.stage("service"), {})
    for name, value in service["environment"].items():
        text = given(str(value), environment)
        if text.startswith("/run/secrets/"):
            assert text.removeprefix("/run/secrets/") in mounted
            text = text.replace("/run/secrets", str(secrets))
        found[name] = text
    return found
