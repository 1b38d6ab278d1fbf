"""The Dockerfile as data, and its steps without a container engine.

COPY is replayed with copies and RUN with a shell, as Docker would, into a prefix of the test's own. The result is
then run as the image's user in a mount namespace in which everything but the data folder is read-only.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.processes import Process

ROOT = Path(__file__).parents[2]
STEP_S = 300
# What the base image and the package manager bring; a developer's machine has a compiler.
HOST_STEPS = ("apt-get ",)
# $1 is the only folder that stays writable.
READ_ONLY = """
mount --bind "$1" "$1"
for place in $(findmnt --raw --noheadings --output TARGET); do
  case $place in "$1" | /proc* | /sys* | /dev*) ;; *) mount -o remount,bind,ro "$place" || [ "$place" != / ] ;; esac
done
shift
exec setpriv --reuid=65532 --regid=65532 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all -- "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    instruction: str
    argument: str


def stages() -> list[list[Step]]:
    """The steps of each stage, its FROM first; what stands before the first FROM belongs to none."""
    found: list[list[Step]] = []
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        assert not line.endswith("\\"), "one instruction a line, please"
        instruction, _, argument = line.partition(" ")
        if instruction == "FROM":
            found.append([])
        if found:
            found[-1].append(Step(instruction=instruction, argument=argument))
    return found


def stage(name: str) -> list[Step]:
    """The steps of `FROM ... AS name`."""
    (found,) = [steps for steps in stages() if steps[0].argument.endswith(f" AS {name}")]
    return found


def arguments(stage: list[Step], instruction: str) -> list[str]:
    return [step.argument for step in stage if step.instruction == instruction]


def exec_form(stage: list[Step], instruction: str) -> list[str]:
    (argument,) = arguments(stage, instruction)
    words: list[str] = json.loads(argument)
    return words


def environment(stage: list[Step], variables: Mapping[str, str]) -> dict[str, str]:
    """What ENV sets, with `${...}` from `variables`."""
    found = {}
    for argument in arguments(stage, "ENV"):
        name, _, value = argument.partition("=")
        for variable, text in variables.items():
            value = value.replace(f"${{{variable}}}", text)
        found[name] = value
    return found


def build(prefix: Path, folder: Path, builder: str = "builder", *, requirements: str = "runtime") -> None:
    """Replays a builder stage in `folder`, for `prefix`; `requirements` is the build argument."""
    path = f"{_programs(folder)}:{os.environ['PATH']}"
    for step in stage(builder):
        if step.instruction == "COPY":
            *sources, target = step.argument.split()
            for source in sources:
                _copy(ROOT / source, folder / target)
        elif step.instruction == "RUN" and not step.argument.startswith(HOST_STEPS):
            done = subprocess.run(
                ["sh", "-c", step.argument],
                cwd=folder,
                env=os.environ | {"PREFIX": str(prefix), "PATH": path, "REQUIREMENTS": requirements},
                capture_output=True,
                text=True,
                timeout=STEP_S,
                check=False,
            )
            assert done.returncode == 0, f"{step.argument}\n{done.stdout}\n{done.stderr}"


def _programs(folder: Path) -> Path:
    """A folder with `python3`: our own, but environments are made of a Python that the image's user can reach."""
    programs = folder.parent / "programs"
    programs.mkdir(exist_ok=True)
    script = programs / "python3"
    script.write_text(
        f"""#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then exec {_reachable_python()} "$@"; fi
exec {sys.executable} "$@"
"""
    )
    script.chmod(0o755)
    return programs


def _reachable_python() -> Path:
    """This Python, unless it lies in a folder of its owner's, as root's pyenv does; then the system's."""
    own = Path(sys.executable).resolve()
    is_reachable = all(folder.stat().st_mode & 0o001 for folder in own.parents)
    return own if is_reachable else Path("/usr/bin/python3")


def _copy(source: Path, target: Path) -> None:
    """Leaves out what .dockerignore does."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    else:
        target.mkdir(exist_ok=True)
        shutil.copy(source, target)


def can_isolate() -> bool:
    """Whether mounts can be made that only one process sees."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    command = ["unshare", "--mount", "--propagation", "private", "true"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def run(data: Path, *command: str, variables: Mapping[str, str]) -> Process:
    """Starts a command as user 65532 without capabilities, where nothing but `data` can be written."""
    unshare = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--",
        "sh",
        "-euc",
        READ_ONLY,
        "sh",
        str(data),
    ]
    return Process([*unshare, *command], environment=variables)
