"""`scripts/build`: the same bytes wherever and whenever, and tags, lists and licences that are true."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from auditwheel.wheel_abi import analyze_wheel_abi
from jsonschema import Draft7Validator, ValidationError
from referencing import Registry, Resource

from strongroom import __version__

ROOT = Path(__file__).parents[2]
CONSOLE = ROOT / "src" / "strongroom" / "console"
SCHEMAS = ROOT / "tests" / "vectors" / "cyclonedx"
SERVICE = f"strongroom-{__version__}-py3-none-manylinux_2_17_x86_64.whl"
SANDBOX = f"strongroom_sandbox-{__version__}-py3-none-any.whl"
SBOM = f"strongroom-{__version__}.cdx.json"
A_DAY_OF_2001 = 1_000_000_000


def build(checkout: Path, out: Path, **variables: str) -> Path:
    done = subprocess.run(
        [checkout / "scripts" / "build", out],
        env=os.environ | {"PYTHON": sys.executable, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return out


def another_checkout(folder: Path) -> Path:
    """The same commit and the same changes, as another person has them: other folder, other times, other rights."""
    subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, folder], check=True, capture_output=True)
    changed = subprocess.run(
        ["git", "diff", "-z", "--name-only", "HEAD"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, changed.stdout.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    for path in (folder / "src").rglob("*.py"):
        path.chmod(0o600)
        os.utime(path, (A_DAY_OF_2001, A_DAY_OF_2001))
    return folder


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("release") / "one")


def test_the_same_commit_gives_the_same_bytes(release: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    other = build(
        another_checkout(tmp_path / "elsewhere"),
        tmp_path / "two",
        TMPDIR=str(tmp_path / "temporary"),
        TZ="Asia/Kathmandu",
        PYTHONHASHSEED="7",
    )
    names = {path.name for path in release.iterdir()}
    assert names == {SERVICE, SANDBOX, SBOM, "SHA256SUMS"} == {path.name for path in other.iterdir()}
    assert [name for name in names if (release / name).read_bytes() != (other / name).read_bytes()] == []
    for line in (release / "SHA256SUMS").read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((release / name).read_bytes()).hexdigest() == digest


def test_the_wheel_runs_wherever_its_tag_says(release: Path) -> None:
    """By a judge of others: what the library asks of glibc is older than the tag, and it needs no other library."""
    found = analyze_wheel_abi(
        None, None, release / SERVICE, frozenset(), disable_isa_ext_check=False, allow_graft=True
    )
    tag = tuple(int(part) for part in found.overall_policy.name.split("_")[1:3])
    assert tag <= (2, 17)


def test_the_wheel_says_its_commit_and_nothing_of_the_machine(release: Path) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    with zipfile.ZipFile(release / SERVICE) as wheel:
        told = wheel.read("strongroom/COMMIT").decode().strip()
        assert told.removesuffix("+changed") == commit.stdout.strip()
        library = wheel.read("strongroom/atto/gateway/blake2b_work.so")
        assert str(ROOT).encode() not in library
        assert b"/tmp/" not in library
        for folder in ("templates", "static"):
            there = {one for one in (CONSOLE / folder).rglob("*") if one.is_file()}
            assert {f"strongroom/console/{one.relative_to(CONSOLE)}" for one in there} <= {*wheel.namelist()}
        assert not [name for name in wheel.namelist() if "__pycache__" in name or name.endswith(".kek")]


def sbom_validator() -> Draft7Validator:
    schemas = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    registry: Registry[Any] = Registry().with_resources(
        (f"http://cyclonedx.org/schema/{name}", Resource.from_contents(schema))
        for name, schema in schemas.items()
    )
    return Draft7Validator(schemas["bom-1.6.schema.json"], registry=registry)


def test_the_bill_of_materials_is_valid_and_complete(release: Path) -> None:
    bill: dict[str, Any] = json.loads((release / SBOM).read_text())
    validator = sbom_validator()
    validator.validate(bill)
    listed = {one["name"]: one for one in bill["components"]}
    for line in (ROOT / "requirements" / "runtime.txt").read_text().splitlines():
        name, found, rest = line.partition("==")
        if found and ";" not in rest:
            component = listed[name.partition("[")[0]]
            assert component["version"] == rest.split()[0]
            assert component["scope"] == "required"
    assert listed["botocore"]["scope"] == "optional"
    assert "colorama" not in listed, "Windows alone needs it"
    bill["components"][0]["licenses"] = [{"license": {"id": "no-such-licence"}}]
    with pytest.raises(ValidationError):
        validator.validate(bill)


def test_the_listed_licences_are_those_of_the_installed_packages() -> None:
    said = subprocess.run(
        [sys.executable, ROOT / "scripts" / "release" / "licenses.py"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert (ROOT / "requirements" / "licenses.txt").read_text() == said.stdout


def test_a_folder_with_something_in_it_is_not_built_into(tmp_path: Path) -> None:
    (tmp_path / "old.whl").touch()
    done = subprocess.run([ROOT / "scripts" / "build", tmp_path], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "is not empty" in done.stderr
