"""`strongroom bittensor`: imports wallets into the vault, lists keys, and removes them."""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from strongroom.bittensor.definition import LEDGER
from strongroom.bittensor.keystore.keyfile_folder import KeyFile, WalletFolder, password_for
from strongroom.bittensor.keystore.names import KeyKind, KeyName, coldkey, hotkey, proxy
from strongroom.bittensor.keystore.wallets import KeyEntry, NewKey
from strongroom.bittensor.protocol.errors import KeyFileError, PasswordNeeded, ProtocolError
from strongroom.bittensor.protocol.keyfiles import PublicKey, read_key
from strongroom.bittensor.protocol.keyfiles.writing import key_file, public_file
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.bittensor.protocol.networks import Network
from strongroom.bittensor.protocol.proxies import Delegation, ProxyType, read_type
from strongroom.bittensor.protocol.ss58 import decode_address
from strongroom.core.clock import SystemEntropy
from strongroom.core.environment import Secret
from strongroom.core.errors import Conflict, InvalidInput, NotFound
from strongroom.core.ledger.contract import Administration, administration_of
from strongroom.core.ledger.exporting import fetch_secret
from strongroom.core.security.access import OPERATOR
from strongroom.core.storage.schema import shown
from strongroom.core.terminal import print_table

NONCE_BYTES = 24
DEFAULT_URL = f"http://127.0.0.1:{os.environ.get('BITTENSOR_PORT') or 8000}"

application = typer.Typer(help="Look after the keys of Bittensor wallets.", no_args_is_help=True)

Hotkeys = Annotated[list[str] | None, typer.Option("--hotkey", help="Only these; repeatable. Default: all.")]
ProxyFor = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="The key calls for this coldkey as its proxy, and lies here in the coldkey's place.",
    ),
]
Type = Annotated[
    str, typer.Option("--proxy-type", help="As what, as the chain has it: " + ", ".join(ProxyType))
]


@application.command("import")
def import_wallet(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(help="A wallet's folder, for example ~/.bittensor/wallets/validator.")
    ],
    name: Annotated[str | None, typer.Option(help="Its name here. Default: the folder's.")] = None,
    hotkeys: Hotkeys = None,
    with_coldkey: Annotated[
        bool, typer.Option("--coldkey", help="The coldkey too, not only its address.")
    ] = False,
    proxy_for: ProxyFor = None,
    proxy_type: Type = ProxyType.STAKING,
) -> None:
    """Take a wallet's keys into the vault. The folder stays as it is. With --proxy-for its coldkey becomes the proxy of another."""
    administration = administration_of(context)
    settings = administration.settings(LEDGER)
    path = path.expanduser().absolute()
    if not path.is_dir():
        raise NotFound(f"There is no folder {path}")
    folder = WalletFolder(path.parent)
    if proxy_for is not None:
        if hotkeys or with_coldkey or name is None:
            raise typer.BadParameter(
                "--proxy-for goes with --name, the wallet that it is for, and with nothing else"
            )
        file = coldkey(path.name)
        read = _read(folder, file, name, settings.wallet_password, secret=True)
        _import(administration, [_proxy(read, proxy_for, proxy_type)])
        return
    found = folder.keys(path.name)
    if hotkeys:
        missing = set(hotkeys) - {key.name for key in found}
        if missing:
            raise NotFound(f"{path} has no hotkey {', '.join(sorted(missing))}")
        found = [key for key in found if key.kind is KeyKind.COLDKEY or key.name in hotkeys]
    if not found:
        raise NotFound(f"{path} is no wallet: it has neither a coldkey nor hotkeys")
    password = settings.wallet_password
    keys = [
        _read(folder, key, name or path.name, password, secret=with_coldkey or key.kind is KeyKind.HOTKEY)
        for key in found
    ]
    _import(administration, keys)


def _import(administration: Administration, keys: list[NewKey]) -> None:
    async def work() -> tuple[list[KeyName], str]:
        async with administration.opened(LEDGER, makes=True) as ledger:
            return await ledger.wallets.import_(OPERATOR, keys), shown(ledger.database)

    added, database = asyncio.run(work())
    for new in keys:
        typer.echo(_told(new, is_new=new.key in added))
    typer.echo(f"The vault is in {database}.", err=True)


@application.command()
def add(
    context: typer.Context,
    wallet: str,
    key: Annotated[str, typer.Argument(help="A hotkey's name.")] = "",
    with_coldkey: Annotated[bool, typer.Option("--coldkey", help="The coldkey.")] = False,
    proxy_for: ProxyFor = None,
    proxy_type: Type = ProxyType.STAKING,
) -> None:
    """Take one key into the vault: its phrase, its seed or a URI (phrase//hard/soft), from the terminal or standard input."""
    administration = administration_of(context)
    settings = administration.settings(LEDGER)
    name = _one_key(wallet, key, with_coldkey=with_coldkey, is_proxy=proxy_for is not None)
    given = (
        typer.prompt(f"Phrase, seed or URI of {name}", hide_input=True, err=True)
        if sys.stdin.isatty()
        else sys.stdin.readline()
    )
    uri = given.strip()
    if uri.startswith("/") and settings.network is not Network.LOCAL:
        raise InvalidInput("A URI without a phrase is a development key, which everybody has")
    try:
        keypair = Keypair.from_uri(uri)
    except ProtocolError as error:
        raise InvalidInput(str(error)) from None
    new = NewKey(key=name, public_key=keypair.public_key, keypair=keypair)
    if proxy_for is not None:
        new = _proxy(new, proxy_for, proxy_type)

    async def work() -> list[KeyName]:
        async with administration.opened(LEDGER, makes=True) as ledger:
            return await ledger.wallets.import_(OPERATOR, [new])

    typer.echo(_told(new, is_new=bool(asyncio.run(work()))))


@application.command()
def export(
    wallet: str,
    key: Annotated[str, typer.Argument(help="A hotkey's name.")] = "",
    with_coldkey: Annotated[bool, typer.Option("--coldkey", help="The coldkey.")] = False,
    url: Annotated[
        str, typer.Option(envvar="WALLET_SERVICE_URL", help="Where the service answers.")
    ] = DEFAULT_URL,
    token: Annotated[
        str | None, typer.Option(envvar="STRONGROOM_BITTENSOR_TOKEN", help="A token with bittensor:export.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Write its file into this folder of wallets (~/.bittensor/wallets) instead."),
    ] = None,
    password: Annotated[
        str | None, typer.Option(envvar="WALLET_PASSWORD", help="With --into: of the coldkey's file.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
) -> None:
    """Show the private key of a key in the vault, after somebody else has approved it, or write it into a wallet's folder."""
    name = _one_key(wallet, key, with_coldkey=with_coldkey)
    folder = None if into is None else WalletFolder(into.expanduser())
    if folder is not None:
        # Before the service is asked: it shows a key once for each approval.
        if folder.key_file(name) is not None:
            raise Conflict(f"{folder.path_of(name)} is there already, and no key file is replaced")
        if with_coldkey and not password:
            password = typer.prompt(
                f"New password of {name}", hide_input=True, confirmation_prompt=True, err=True
            )
    body = {"wallet_name": wallet, "key": name.kind.value} | ({} if with_coldkey else {"hotkey_name": key})
    what, reach = f"the private key of {name}", "the key"
    answer = fetch_secret(url, token, "/wallet/export", body, what=what, reach=reach, yes=yes)
    if folder is None:
        typer.echo(answer["private_key"])
        return
    keypair = Keypair(bytes.fromhex(answer["private_key"].removeprefix("0x")))
    nonce = SystemEntropy().token(NONCE_BYTES)
    data = key_file(keypair, password if with_coldkey else None, nonce)
    path = folder.write(name, data, public_file(keypair.public_key))
    typer.echo(f"{name} {keypair.address} is in {path}")


@application.command()
def wallets(context: typer.Context) -> None:
    """List the keys that the service can find."""

    async def work() -> list[KeyEntry]:
        async with administration_of(context).opened(LEDGER) as ledger:
            return await ledger.wallets.list()

    table = Table()
    table.add_column("key", overflow="fold")
    table.add_column("address", no_wrap=True)
    table.add_column("where", overflow="fold")
    for entry in asyncio.run(work()):
        place = entry.place if entry.delegation is None else f"{entry.place}, {entry.delegation}"
        table.add_row(Text(str(entry.key)), entry.address or "(encrypted)", place)
    print_table(table)


@application.command()
def remove(
    context: typer.Context,
    wallet: str,
    key: Annotated[str, typer.Argument(help="A hotkey's name.")] = "",
    with_coldkey: Annotated[bool, typer.Option("--coldkey", help="The coldkey.")] = False,
    is_proxy: Annotated[bool, typer.Option("--proxy", help="The coldkey's proxy.")] = False,
) -> None:
    """Delete a key from the vault, for good: there is no other copy here."""
    name = _one_key(wallet, key, with_coldkey=with_coldkey, is_proxy=is_proxy)

    async def work() -> None:
        async with administration_of(context).opened(LEDGER) as ledger:
            await ledger.wallets.remove(OPERATOR, name)

    asyncio.run(work())
    typer.echo(f"removed {name}")


def _one_key(wallet: str, key: str, *, with_coldkey: bool, is_proxy: bool = False) -> KeyName:
    if bool(key) + with_coldkey + is_proxy != 1:
        raise typer.BadParameter("name a hotkey, or --coldkey, or the proxy")
    if is_proxy:
        return proxy(wallet)
    return coldkey(wallet) if with_coldkey else hotkey(wallet, key)


def _proxy(new: NewKey, real: str, proxy_type: str) -> NewKey:
    """Makes the proxy of a coldkey from a key. Raises: InvalidInput: no address, or no such type."""
    try:
        delegation = Delegation(real=decode_address(real), proxy_type=read_type(proxy_type))
    except ProtocolError as error:
        raise InvalidInput(str(error)) from None
    return replace(new, key=proxy(new.key.wallet), delegation=delegation)


def _told(new: NewKey, *, is_new: bool) -> str:
    what = "" if new.delegation is None else f" {new.delegation}"
    state = "imported" if is_new else "was there already"
    return f"{new.key} {PublicKey(public_key=new.public_key).address}{what} {state}"


def _read(folder: WalletFolder, key: KeyName, wallet: str, general: Secret | None, *, secret: bool) -> NewKey:
    """Raises: InvalidInput: the file cannot be read, or the password is wrong."""
    target = coldkey(wallet) if key.kind is KeyKind.COLDKEY else hotkey(wallet, key.name)
    try:
        file = folder.key_file(key) if secret else None
        keypair = None if file is None else _open(key, file, general)
        public = _public(folder, key)
    except KeyFileError as error:
        raise InvalidInput(f"{folder.path_of(key)}: {error}") from None
    if keypair is None and public is None:
        raise InvalidInput(f"{folder.path_of(key)}: without its public file it needs --coldkey")
    if keypair is not None and public is not None and keypair.public_key != public:
        raise InvalidInput(f"{folder.path_of(key)}: its public file is that of another key")
    public_key = keypair.public_key if keypair is not None else public
    assert public_key is not None  # noqa: S101 - for the type checker
    return NewKey(key=target, public_key=public_key, keypair=keypair)


def _public(folder: WalletFolder, key: KeyName) -> bytes | None:
    try:
        found = folder.public(key)
    except PasswordNeeded:
        return None
    return None if found is None else found.public_key


def _open(key: KeyName, file: KeyFile, general: Secret | None) -> Keypair:
    password = password_for(file.path, os.environ, general.reveal() if general is not None else None)
    try:
        return read_key(file.data, password)
    except PasswordNeeded:
        if not sys.stdin.isatty():
            raise
    return read_key(file.data, typer.prompt(f"Password of {key}", hide_input=True, err=True))
