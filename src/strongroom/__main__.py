"""The command `strongroom`, also as `python -m strongroom`."""

import gc
import sys

from strongroom.core.environment import SettingsError


def ask_health() -> None:
    """`strongroom health` without the other commands: a container's healthcheck runs it every few seconds."""
    import typer  # noqa: PLC0415 - as below

    from strongroom.commands.about.health import health  # noqa: PLC0415

    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(health)
    try:
        command(sys.argv[2:], prog_name="strongroom health")
    except SettingsError as error:
        sys.exit("\n".join(f"strongroom: {mistake}" for mistake in error.mistakes))


def main() -> None:
    """Runs the command line. Status 1 where only the light client is installed."""
    if sys.argv[1:2] == ["health"]:
        ask_health()
        return
    gc.disable()  # of what is imported nothing is garbage, and to look for some takes a sixth of the start
    try:
        from strongroom.cli import main as run  # noqa: PLC0415 - a node with the client alone gets a sentence instead
    except ModuleNotFoundError as error:
        sys.exit(
            f"{error.name} is missing: this environment has the client only; the service is strongroom[server]"
        )
    except SettingsError as error:  # of a ledger that is installed beside the service
        sys.exit("\n".join(f"strongroom: {mistake}" for mistake in error.mistakes))
    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
