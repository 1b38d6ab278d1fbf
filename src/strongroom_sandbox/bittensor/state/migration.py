"""From the state of one runtime to that of another."""

from strongroom_sandbox.bittensor.codec.runtime import Runtime
from strongroom_sandbox.bittensor.codec.scale import ScaleError
from strongroom_sandbox.bittensor.state.state import State


def migrate(state: State, old: Runtime, new: Runtime) -> None:
    """Keeps every value that means the same to both; drops what the new runtime could not read.

    Storage that the new runtime does not know stays where it is, as on a real chain.
    """
    if old.metadata_v15 == new.metadata_v15:
        return
    for pallet in old.pallets.values():
        for item in pallet.storage:
            if new.has_item(pallet.name, item):
                _keep_readable(state, new, pallet.name, item)


def _keep_readable(state: State, new: Runtime, pallet: str, item: str) -> None:
    for key in state.keys(new.storage_key(pallet, item)):
        try:
            new.split_storage_key(pallet, item, key)
            new.decode_value(pallet, item, state.get(key) or b"")
        except ScaleError:
            state.remove(key)
