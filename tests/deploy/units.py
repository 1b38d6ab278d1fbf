"""The units under deploy/systemd, and what the processes that they start read."""

from pathlib import Path

from strongroom.settings import Settings, read_settings

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = tuple(sorted(FOLDER.glob("*.service")))


def settings(ledger: str, unit: str, instance: str, secrets: Path) -> Settings:
    """As the process reads them, with the files under /etc/strongroom where they are in this folder."""
    return read_settings(variables(unit, instance, secrets), (ledger,))


def variables(unit: str, instance: str, secrets: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    credentials: dict[str, str] = {}
    for line in (FOLDER / unit).read_text().replace("%i", instance).splitlines():
        key, _, value = line.partition("=")
        if key == "EnvironmentFile":
            found |= assignments((FOLDER / Path(value).name).read_text())
        elif key == "LoadCredential":
            name, _, path = value.partition(":")
            credentials[name] = Path(path).name
        elif key == "Environment":
            found |= assignments(value)
    for name, value in found.items():
        if name.endswith("_FILE"):
            found[name] = str(secrets / credentials[value.removeprefix("%d/")])
    return found


def assignments(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}
