"""The command `strongroom`, also as `python -m strongroom`."""

import gc
import sys

from strongroom.core.environment import SettingsError


def main() -> None:
    """Runs the command line. Status 1 where only the light client is installed."""
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
