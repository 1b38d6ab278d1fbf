"""The image's steps, tried for real: built as the Dockerfile says, run as its user on a read-only root."""

import json
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from deploy import dockerfile
from deploy.manifests import container
from strongroom.atto.definition import LEDGER as ATTO
from strongroom.bittensor.definition import LEDGER as BITTENSOR
from strongroom.hathor.definition import LEDGER as HATHOR
from strongroom.settings import read_settings
from strongroom_sandbox.ports import default_variables
from support.ports import own_ports
from support.processes import strongroom

# Building takes about 20 s of processor time, and this machine may be busy.

USER = 65532
ON_DISK = "/var/tmp"  # noqa: S108 - memory would be a file system of its own, which the image's rules do not reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What the final stage holds: the installation, and an empty data folder that every user may write to."""

    prefix: Path
    data: Path

    @property
    def variables(self) -> dict[str, str]:
        """ENV of the final stage, but for the places of this machine: every test listens on loopback."""
        final = dockerfile.stage("service")
        variables = dockerfile.environment(final, {"PREFIX": str(self.prefix), "PATH": "/usr/bin:/bin"})
        return variables | {"STRONGROOM_DATA": str(self.data), "STRONGROOM_HOST": "127.0.0.1"}

    def command(self, *arguments: str) -> list[str]:
        """ENTRYPOINT, as PATH finds it, with these arguments or CMD."""
        final = dockerfile.stage("service")
        (program,) = dockerfile.exec_form(final, "ENTRYPOINT")
        return [str(self.prefix / "bin" / program), *(arguments or dockerfile.exec_form(final, "CMD"))]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    if not dockerfile.can_isolate():
        pytest.fail("The image is built and run in mount namespaces: run the tests as root")
    with tempfile.TemporaryDirectory(prefix="strongroom-image-", dir=ON_DISK) as name:
        folder = Path(name)
        folder.chmod(0o755)
        made = Image(prefix=folder / "opt", data=folder / "data")
        (folder / "build").mkdir()
        dockerfile.build(made.prefix, folder / "build")
        made.data.mkdir()
        made.data.chmod(0o1777)
        yield made


def test_the_final_stage_is_the_installation_and_an_unprivileged_user() -> None:
    final = dockerfile.stage("service")
    assert dockerfile.arguments(final, "USER") == [f"{USER}:{USER}"]
    (exposed,) = dockerfile.arguments(final, "EXPOSE")
    assert {int(port) for port in exposed.split()} == default_ports()
    assert dockerfile.arguments(final, "VOLUME") == ["/data"]
    assert dockerfile.arguments(final, "COPY") == ["--from=builder ${PREFIX} ${PREFIX}"]
    assert dockerfile.arguments(final, "RUN") == ["install -d -m 1777 /data"]
    assert dockerfile.exec_form(final, "ENTRYPOINT") + dockerfile.exec_form(final, "CMD") == [
        "strongroom",
        "serve",
    ]
    assert dockerfile.environment(final, {"PREFIX": "/opt/strongroom", "PATH": "/usr/bin"}) == {
        "PATH": "/opt/strongroom/bin:/usr/bin",
        "STRONGROOM_HOST": "0.0.0.0",  # noqa: S104 - what the image says
        "STRONGROOM_DATA": "/data",
        "LOG_FORMAT": "json",
    }


def default_ports() -> set[int]:
    """Of every surface that a process may have."""
    variables = {
        "ATTO_NETWORK": "live",
        "NODE_BASE_URL": "http://node:8080",
        "WORK_BASE_URL": "http://work:8080",
        "HATHOR_NETWORK": "mainnet",
        "DEFAULT_SERVER": "http://node:8080/v1a/",
        "network": "finney",
    }
    settings = read_settings(variables)
    atto, hathor, bittensor = settings.of(ATTO), settings.of(HATHOR), settings.of(BITTENSOR)
    assert atto is not None
    assert hathor is not None
    assert bittensor is not None
    assert settings.admin is not None
    ports = {atto.port, hathor.api.port, hathor.sockets.port, bittensor.port}
    return ports | {settings.management_port, settings.admin.port}


def test_the_image_says_how_to_ask_for_its_health(image: Image) -> None:
    """The answers themselves are tested with a running service below."""
    (check,) = dockerfile.arguments(dockerfile.stage("service"), "HEALTHCHECK")
    (program, *arguments) = json.loads(check.partition("CMD ")[2])
    command = [str(image.prefix / "bin" / program), *arguments]
    with dockerfile.run(image.data, *command, variables=image.variables | own_ports()) as asked:
        assert asked.wait_end() == 1
    assert "not ready" in asked.logs()


def test_the_build_context_is_what_the_image_is_made_of() -> None:
    """Never the data folder, which may lie in the checkout with its key."""
    lines = (dockerfile.ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = [
        source
        for builder in ("builder", "sandbox-builder")
        for argument in dockerfile.arguments(dockerfile.stage(builder), "COPY")
        for source in argument.split()[:-1]
    ]
    nodes = ["examples/bittensor/requirements.txt", "examples/bittensor/*.py"]  # test_bittensor_compose
    assert rules == ["*", *(f"!{source}" for source in copied + nodes), "**/__pycache__", "**/*.so"]


def test_the_image_serves_and_answers_its_probes_where_only_data_can_be_written(
    image: Image, tmp_path: Path
) -> None:
    networks = own_ports() | {"STRONGROOM_DATA": str(tmp_path)}
    variables = image.variables | own_ports() | default_variables(networks)
    api, management = variables["ATTO_PORT"], variables["MANAGEMENT_PORT"]
    with (
        strongroom("sandbox", "atto", environment=networks) as sandbox,
        dockerfile.run(image.data, *image.command(), "atto", variables=variables) as service,
    ):
        sandbox.wait_ready()
        service.wait_ready()
        with httpx2.Client(trust_env=False, timeout=10) as client:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                path = container()[probe]["httpGet"]["path"]
                answer = client.get(f"http://127.0.0.1:{management}{path}")
                assert answer.status_code == httpx2.codes.OK, answer.text
            assert client.get(f"http://127.0.0.1:{api}/").status_code == httpx2.codes.OK
        with dockerfile.run(image.data, *image.command("health"), variables=variables) as asked:
            assert asked.wait_end() == 0, asked.logs()
        demo_variables = variables | {
            name: value for name, value in networks.items() if name.startswith("SANDBOX_")
        }
        with dockerfile.run(image.data, *image.command("demo"), variables=demo_variables) as demo:
            assert demo.wait_end() == 0, demo.logs()
        assert service.terminate() == 0, service.logs()
    owners = {path.stat().st_uid for path in image.data.iterdir()}
    assert owners == {USER}
    assert stat.S_IMODE((image.data / "atto.kek").stat().st_mode) == 0o600


def test_nothing_but_data_can_be_written(image: Image) -> None:
    """Otherwise the test above would show nothing."""
    places = ["/tmp", ON_DISK, str(image.prefix)]  # noqa: S108 - tried, not used
    attempt = 'for place; do if touch "$place/written" 2>/dev/null; then echo "wrote $place"; fi; done; id -u; id -G'
    with dockerfile.run(
        image.data, "sh", "-c", attempt, "sh", *places, str(image.data), variables={}
    ) as tried:
        assert tried.wait_end() == 0, tried.logs()
    assert tried.stdout == [f"wrote {image.data}", str(USER), str(USER)]
    (image.data / "written").unlink()


def test_the_image_can_install_nothing_into_itself(image: Image) -> None:
    commands = {path.name for path in (image.prefix / "bin").iterdir()}
    assert "strongroom" in commands
    assert not any(name.startswith("pip") for name in commands)


def test_the_image_has_nothing_of_the_sandbox(image: Image) -> None:
    assert not list(image.prefix.rglob("strongroom_sandbox*"))
    with dockerfile.run(image.data, *image.command("sandbox"), variables=image.variables) as command:
        assert command.wait_end() == 2
        assert "strongroom-sandbox" in command.logs()


def test_what_docker_builds_without_a_target_is_the_service() -> None:
    assert [step.argument for step in dockerfile.stages()[-1]] == ["service"]


def test_the_target_sandbox_starts_a_chain_where_none_answers(image: Image) -> None:
    """As docker-compose.yml starts it. The environment is the service's, moved to a place of its own."""
    prefix = image.prefix.with_name("with-sandbox")
    shutil.copytree(image.prefix, prefix, symlinks=True)
    for program in (prefix / "bin").iterdir():
        if program.is_file() and not program.is_symlink() and program.read_bytes().startswith(b"#!"):
            program.write_text(program.read_text().replace(str(image.prefix), str(prefix)))
    dockerfile.build(prefix, image.prefix.parent / "build", "sandbox-builder")
    moved = Image(prefix=prefix, data=image.data)
    ports = own_ports()
    variables = (
        moved.variables
        | ports
        | {
            "network": "local",
            "chain_endpoint": f"ws://127.0.0.1:{ports['SANDBOX_BITTENSOR_PORT']}",
        }
    )
    with dockerfile.run(
        moved.data, *moved.command("serve", "bittensor", "--or-sandbox"), variables=variables
    ) as service:
        service.wait_ready()
        assert any("starting a sandbox chain there" in line for line in service.stdout)
        assert service.terminate() == 0, service.logs()


@pytest.mark.slow
def test_an_image_for_keys_in_kms_and_an_hsm_has_what_they_need() -> None:
    """docs/keys.md, Backends: with the build argument."""
    with tempfile.TemporaryDirectory(prefix="strongroom-image-", dir=ON_DISK) as name:
        folder = Path(name)
        (folder / "build").mkdir()
        dockerfile.build(folder / "opt", folder / "build", requirements="key-backends")
        program = [str(folder / "opt" / "bin" / "python3"), "-c", "import botocore, pkcs11, strongroom"]
        done = subprocess.run(program, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
