"""The command `strongroom`, also as `python -m strongroom`."""

import sys


def main() -> None:
    """Runs the command line. Status 1 where only the light client is installed."""
    try:
        from strongroom.cli import main as run  # noqa: PLC0415 - a node with the client alone gets a sentence instead
    except ModuleNotFoundError as error:
        sys.exit(
            f"{error.name} is missing: this environment has the client only; the service is strongroom[server]"
        )
    run()


if __name__ == "__main__":
    main()
