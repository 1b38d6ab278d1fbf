"""What a backup is encrypted with: a passphrase, or recipients of age."""

import os
from pathlib import Path
from typing import Annotated

import typer

from strongroom.core.environment import Environment
from strongroom.core.errors import InvalidInput
from strongroom.core.secret_files import read_secret_file
from strongroom.core.storage.transfer import age
from strongroom.core.storage.transfer.archive import Key, Lock
from strongroom.settings import BACKUP_PASSPHRASE

Recipients = Annotated[
    list[str] | None,
    typer.Option("--recipient", help="Encrypt to this recipient of age (age1...). May be repeated."),
]
WithPassphrase = Annotated[
    bool,
    typer.Option(
        "--passphrase",
        help=f"Encrypt with the passphrase in {BACKUP_PASSPHRASE}, or in the file that {BACKUP_PASSPHRASE}_FILE names.",
    ),
]
IdentityFile = Annotated[
    Path | None, typer.Option("--identity", help="A file with the identity of age (AGE-SECRET-KEY-1...).")
]


def read_locks(recipients: list[str] | None, *, passphrase: bool) -> list[Lock]:
    """Raises: InvalidInput: a recipient is none, or there is no passphrase."""
    if recipients and passphrase:
        raise InvalidInput("A backup is encrypted with a passphrase or to recipients, not both")
    if passphrase:
        found = _passphrase()
        if found is None:
            raise InvalidInput(f"Set {BACKUP_PASSPHRASE}, or {BACKUP_PASSPHRASE}_FILE to a file with it")
        return [found]
    try:
        return [age.Recipient(one) for one in recipients or ()]
    except ValueError as error:
        raise InvalidInput(f"A recipient is not understood: {error}") from None


def read_keys(identity: Path | None) -> list[Key]:
    """What opens a backup, of all that is given. Raises: InvalidInput: the file has no identity."""
    keys: list[Key] = []
    if identity is not None:
        lines = read_secret_file(identity).splitlines()
        try:
            keys += [age.Identity(line) for line in lines if line.strip() and not line.startswith("#")]
        except ValueError as error:
            raise InvalidInput(f"{identity} has no identity of age: {error}") from None
    found = _passphrase()
    return keys if found is None else [*keys, found]


def _passphrase() -> age.Passphrase | None:
    environment = Environment(os.environ)
    secret = environment.secret(BACKUP_PASSPHRASE)
    environment.raise_mistakes()
    return None if secret is None else age.Passphrase(secret.reveal())
