"""docs/security.md: the code and the tests that it names are there."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
TICKED = re.compile(r"`([\w./-]+)(?:::(\w+))?`")
ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def rows() -> list[tuple[str, str, str]]:
    return [row for row in ROW.findall(PAGE) if row[0] != "what holds" and not row[0].startswith("---")]


def test_every_promise_has_code_and_a_test() -> None:
    assert len(rows()) > 20
    for promise, code, tests in rows():
        named = [path for path, _ in TICKED.findall(code)]
        assert named, promise
        for path in named:
            assert (ROOT / path).exists() or (ROOT / "src" / "strongroom" / path).exists(), path
        cited = TICKED.findall(tests)
        assert cited, promise
        for path, name in cited:
            assert re.search(rf"def {name}\(", (ROOT / path).read_text()), f"{path}::{name}"


def test_every_attacker_is_told_what_is_not_promised() -> None:
    sections = PAGE.split("\n## ")[1:]
    assert len(sections) == 10
    assert [one.splitlines()[0] for one in sections if "Not promised:" not in one] == []


def test_the_service_installs_no_solver() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert any(one.startswith("z3-solver") for one in extras["prove"])
    assert not any(one.startswith("z3") for one in extras["server"])
    assert "z3-solver" not in (ROOT / "requirements" / "runtime.txt").read_text()
