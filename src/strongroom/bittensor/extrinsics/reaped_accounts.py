"""Accounts that the chain removed, because next to nothing was left on them: made again, they count from nonce 0.

An extrinsic of the first life cannot take effect in the second one once its era is over, which is why ours all end.
"""

from strongroom.bittensor.extrinsics.nonces import ChainBehind, begin_nonces_at, newest_final
from strongroom.bittensor.gateway import Chain, Item
from strongroom.core.storage.database import Database


async def begin_again(chain: Chain, database: Database, public_key: bytes, behind: ChainBehind) -> None:
    """Lets the account's nonces begin where the final block has them, if the node is as far as we have seen its chain.

    Raises:
        ChainBehind: it is not, or its chain is another one. It is the one that was given.
        Unavailable: no node answers.
    """
    newest = await database.read(newest_final)
    heads = await chain.heads()
    if (
        newest is None
        or heads.final.number < newest.number
        or await chain.block_hash(newest.number) != newest.hash
    ):
        raise behind
    (account,) = await chain.read([Item("System", "Account", (public_key,))], heads.final.hash)
    nonce = int(account["nonce"])
    await database.write(lambda connection: begin_nonces_at(connection, public_key, nonce))
