"""Files of others are what they were when they were taken, and every template is used."""

import hashlib
from pathlib import Path

from jinja2 import meta

from strongroom.console import files

ROOT = Path(files.__file__).parent
STATIC = ROOT / "static"


def test_vendored_files_are_unchanged() -> None:
    rows = [line.split() for line in (STATIC / "VENDORED.txt").read_text().splitlines() if ".js" in line]
    assert {row[3]: row[4] for row in rows} == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in STATIC.glob("*.js")
    }


def test_templates_name_only_what_is_there() -> None:
    environment = files.make_templates(files.read_assets())
    for file in (ROOT / "templates").rglob("*.html"):
        source = file.read_text()
        found = meta.find_referenced_templates(environment.parse(source))
        assert all(name is not None and (ROOT / "templates" / name).exists() for name in found), file.name
        assert "| safe" not in source, file.name
        assert "style=" not in source, file.name
