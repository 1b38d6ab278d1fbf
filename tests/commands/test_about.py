"""What tells about the program itself: its version, what completes it, and whether it is ready."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest

from strongroom import __version__
from strongroom.core.runtime.build import read_build
from strongroom.core.runtime.telemetry import Metrics
from support.ports import own_ports
from support.processes import strongroom
from support.programs import program


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "strongroom", *arguments],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_version_tells_all_that_a_report_of_a_fault_needs() -> None:
    shown = run("--version").stdout.splitlines()
    assert shown[0] == f"strongroom {__version__}"
    told = dict(line.split(": ", 1) for line in shown[1:])
    assert told["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert told["Atto's proof of work"] == "native"
    assert told["ledgers"].split(", ")[:3] == ["atto", "hathor", "bittensor"]
    assert {"atto", "bittensor", "hathor", "server"} <= set(told["extras"].split(", "))


def test_the_build_is_a_metric() -> None:
    build = read_build()
    shown = generate_latest(Metrics("strongroom").registry).decode()
    labels = f'{{commit="{build.commit}",python="{build.python}",version="{__version__}"}}'
    assert f"strongroom_build_info{labels} 1.0" in shown


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        made = run("completion", shell)
        assert made.returncode == 0, made.stderr
        (folder / shell).write_text(made.stdout)
    return folder


def in_bash(script: Path, *words: str) -> set[str]:
    text = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _strongroom; printf "%s\\n" "${COMPREPLY[@]}"'
    return _said([program("bash"), "--norc", "-euc", text, "bash", str(script), *words])


def in_zsh(script: Path, *words: str) -> set[str]:
    """The completing function; what it hands to `compadd` is printed, of which zsh itself takes what fits."""
    text = (
        "compdef() { }; compadd() { shift; print -l -- $@; (( $# )) }; _files() { };"
        ' source "$1"; shift; words=("$@"); CURRENT=$#; PREFIX=$words[-1]; _strongroom'
    )
    said = _said([program("zsh"), "-f", "-c", text, "zsh", str(script), *words])
    return {word for word in said if word.startswith(words[-1])}


def in_fish(script: Path, *words: str) -> set[str]:
    text = 'source $argv[1]; complete --do-complete "$argv[2..]"'
    said = _said([program("fish"), "--no-config", "-c", text, str(script), *words])
    return {line.partition("\t")[0] for line in said}


def _said(command: list[str]) -> set[str]:
    """Without a PATH: the shell can ask no program."""
    done = subprocess.run(
        command, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return {line for line in done.stdout.splitlines() if line}


@pytest.mark.parametrize(
    ("complete", "shell"),
    [(in_bash, "bash"), (in_zsh, "zsh"), (in_fish, "fish")],
    ids=["bash", "zsh", "fish"],
)
def test_a_shell_completes_by_itself(complete: Callable[..., set[str]], shell: str, scripts: Path) -> None:
    script = scripts / shell
    assert {"serve", "seal"} <= complete(script, "strongroom", "se") <= {"serve", "seal"}
    assert {"create", "rotate"} <= complete(script, "strongroom", "token", "")
    assert complete(script, "strongroom", "serve", "hath") == {"hathor"}
    assert complete(script, "strongroom", "serve", "--or") == {"--or-sandbox"}
    assert complete(script, "strongroom", "token", "create", "ann", "--sc") == {"--scope"}
    assert {"atto", "bittensor"} <= complete(script, "strongroom", "payments", "--ledger", "")


def test_health_is_the_readiness_of_the_process(tmp_path: Path) -> None:
    ports = own_ports()
    asked = {"MANAGEMENT_PORT": ports["MANAGEMENT_PORT"]}
    away = run("health", **asked)
    assert away.returncode == 1
    assert "does not answer" in away.stderr
    variables = ports | {
        "STRONGROOM_DATA": str(tmp_path),
        "NETWORK": "privatenet",
        "DEFAULT_SERVER": "http://127.0.0.1:9/v1a/",
    }
    with strongroom("serve", "hathor", environment=variables) as service:
        service.wait_ready()
        there = run("health", **asked, STRONGROOM_HOST="0.0.0.0")  # noqa: S104 - as the image says
    assert there.returncode == 0, there.stderr
    assert '"readinessState"' in there.stdout


def test_what_a_healthcheck_runs_loads_little() -> None:
    """Every ten seconds, in an image."""
    code = (
        "import sys; sys.argv[1:] = ['health', '--timeout', '0.1']\n"
        "from strongroom.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}"
        " & {'sqlalchemy', 'litestar', 'msgspec', 'prometheus_client'}))"
    )
    asked = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True, check=True)
    assert asked.stdout == "\n"
