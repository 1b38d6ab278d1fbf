"""Opens key files in a thread, one at a time in the whole process: one takes seconds and up to 512 MiB of memory."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from strongroom.bittensor.protocol.keyfiles import read_key
from strongroom.bittensor.protocol.keys import Keypair

_one_at_a_time = ThreadPoolExecutor(max_workers=1, thread_name_prefix="unlock")


async def unlock(data: bytes, password: str | None) -> Keypair:
    """Raises: KeyFileError: as `read_key`."""
    return await asyncio.get_running_loop().run_in_executor(_one_at_a_time, read_key, data, password)
