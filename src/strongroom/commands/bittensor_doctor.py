"""What `strongroom doctor` asks of the Bittensor ledger."""

from collections.abc import Awaitable, Callable

from strongroom.bittensor.ledger import BittensorLedger
from strongroom.bittensor.settings import BittensorSettings
from strongroom.bittensor.stored_keys import load_keys, open_key
from strongroom.commands.context import bittensor_ledger, shown
from strongroom.core.audit import verify
from strongroom.core.clock import SystemEntropy
from strongroom.core.errors import Unavailable, VaultError
from strongroom.core.keys.local import key_from_hex
from strongroom.core.vault import KeyEncryptionKey, Vault
from strongroom.settings import Settings

Check = Callable[[], Awaitable[str]]
Ask = Callable[[BittensorLedger], Awaitable[str]]


def bittensor_checks(settings: Settings, bittensor: BittensorSettings) -> dict[str, Check]:
    def check(ask: Ask) -> Check:
        async def run() -> str:
            async with bittensor_ledger(settings) as ledger:
                return await ask(ledger)

        return run

    async def keys(ledger: BittensorLedger) -> str:
        return await _keys(ledger, bittensor)

    return {
        "bittensor database": check(_database),
        "bittensor audit trail": check(_audit),
        "bittensor keys": check(keys),
        "bittensor chain": check(_chain),
    }


async def _database(ledger: BittensorLedger) -> str:
    return shown(ledger.database)


async def _audit(ledger: BittensorLedger) -> str:
    return f"{await verify(ledger.database)} rows verified"


async def _keys(ledger: BittensorLedger, bittensor: BittensorSettings) -> str:
    """A restored backup is worth nothing without the key that sealed its keys."""
    stored = await ledger.database.read(load_keys)
    sealed = [key for key in stored if key.sealed_secret is not None]
    vault = Vault(_key_encryption_key(bittensor), SystemEntropy())
    for key in sealed:
        try:
            open_key(vault, key)
        except VaultError as error:
            raise VaultError(f"of {len(sealed)} keys: {error.message}") from None
    return f"{len(sealed)} keys open, {len(stored) - len(sealed)} are known by their address alone"


async def _chain(ledger: BittensorLedger) -> str:
    try:
        runtime, heads = await ledger.chain_work.chain.runtime(), await ledger.chain_work.chain.heads()
    except Unavailable as error:
        raise Unavailable(f"the chain: {error.message}") from error
    return f"runtime {runtime.spec_version}, block {heads.best.number}, final {heads.final.number}"


def _key_encryption_key(bittensor: BittensorSettings) -> KeyEncryptionKey:
    """The ledger made the file, if it was not there, when it was opened."""
    given = bittensor.key_encryption_key
    return key_from_hex(given.reveal() if given is not None else bittensor.key_file.read_text())
