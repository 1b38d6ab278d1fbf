"""The commands of docs/install.md, run as they stand as far as a machine without engine and cluster can."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.tools import docker_compose, helm

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "install.md").read_text()


def blocks(heading: str) -> list[str]:
    """The commands under this heading."""
    section = re.split(r"^##+ ", PAGE.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def run(commands: str, folder: Path, *, programs: Path) -> str:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=folder,
        env={"PATH": path, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Helm, and a `docker` whose `compose up` reads the file and starts nothing."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "helm").symlink_to(helm())
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets"))
    return tmp_path


def test_the_completions_are_written_where_the_shells_look(tmp_path: Path, programs: Path) -> None:
    (commands,) = [block for block in blocks("The command") if "completion" in block]
    places = re.findall(r"> (~/\S+)", commands)
    assert len(places) == 3
    for place in places:
        (tmp_path / "home" / place.removeprefix("~/")).parent.mkdir(parents=True)
    run(commands, tmp_path, programs=programs)
    assert all(
        "token create" in (tmp_path / "home" / place.removeprefix("~/")).read_text() for place in places
    )


def test_the_chart_is_installed_as_the_page_says(checkout: Path, programs: Path) -> None:
    (commands,) = blocks("Helm")
    shown = run(commands.replace("helm install ", "helm template "), checkout, programs=programs)
    found = [document for document in yaml.safe_load_all(shown) if document]
    (deployment,) = [document for document in found if document["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert {"name": "NODE_BASE_URL", "value": "http://node:8080"} in container["env"]
    assert "Secret" not in {document["kind"] for document in found}


@pytest.mark.slow
def test_compose_starts_as_the_page_says(checkout: Path, programs: Path) -> None:
    """All of it, but that Compose reads the file in place of starting it."""
    (programs / "docker").write_text(
        f'#!/bin/sh\nset -e\nshift\n[ "$3" = up ]\nexec {docker_compose()} "$1" "$2" config --quiet\n'
    )
    (programs / "docker").chmod(0o755)
    (commands,) = blocks("Compose")
    run(commands, checkout, programs=programs)
    secrets = list((checkout / "deploy" / "compose" / "secrets").iterdir())
    assert {path.name for path in secrets} == {"atto_key", "database"}
    assert {(path.stat().st_uid, path.stat().st_mode & 0o777) for path in secrets} == {(65532, 0o400)}


def test_the_units_are_installed_as_the_page_says(checkout: Path, programs: Path) -> None:
    (commands,) = blocks("systemd")
    assert commands.count("/etc/") == 4
    (programs / "systemctl").write_text('#!/bin/sh\necho "$@"\n')
    (programs / "systemctl").chmod(0o755)
    (checkout / "etc" / "systemd" / "system").mkdir(parents=True)
    shown = run(commands.replace("/etc/", f"{checkout}/etc/"), checkout, programs=programs)
    assert shown == "enable --now strongroom-atto\n"
    unit = (checkout / "etc/systemd/system/strongroom-atto.service").read_text()
    wanted = re.findall(r"^(?:EnvironmentFile=|LoadCredential=\w+:)/(\S+)$", unit, re.MULTILINE)
    missing = {path for path in wanted if not (checkout / path).exists()}
    assert missing == {"etc/strongroom/atto_database"}, "the password, which the operator has"
