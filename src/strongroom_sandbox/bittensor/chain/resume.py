"""Opens a chain that goes on where its journal ends."""

from itertools import pairwise
from pathlib import Path

import msgspec

from strongroom.core.errors import Unavailable
from strongroom_sandbox.bittensor.chain.blocks import Block, slot_of
from strongroom_sandbox.bittensor.chain.chain import KEPT_STATES, Chain
from strongroom_sandbox.bittensor.chain.genesis import Genesis
from strongroom_sandbox.bittensor.chain.journal import (
    Journal,
    Retract,
    Seal,
    apply,
    changed,
    read_block,
    read_entries,
    sealed,
)


def open_chain(path: Path, genesis: Genesis) -> tuple[Chain, Journal]:
    """The chain of a journal, and the journal, written anew with the last blocks alone; a new chain where there is none.

    Raises:
        Unavailable: the file is no journal of this version.
    """
    first = genesis.block()
    try:
        seals, made = _surviving(path)
    except msgspec.DecodeError as error:
        raise Unavailable(f"{path} is no journal of this version; move it away") from error
    blocks = _blocks(seals) or [first]
    finalized = max((seal.finalized for seal in seals), default=0)
    journal = _begin(path, blocks, finalized)
    if blocks != [first]:
        first.values = None
    return Chain(first, blocks, finalized=finalized, made=made, journal=journal), journal


def _surviving(path: Path) -> tuple[list[Seal], int]:
    """Returns the entries of the best branch, and the highest slot of any block."""
    seals: list[Seal] = []
    made = 0
    for entry in read_entries(path):
        if isinstance(entry, Retract):
            del seals[-entry.count :]
        else:
            seals.append(entry)
            made = max(made, slot_of(entry.logs))
    return seals, made


def _blocks(seals: list[Seal]) -> list[Block]:
    """Returns the last blocks, each with its state."""
    values: dict[bytes, bytes] = {}
    for seal in seals[:-KEPT_STATES]:
        for key, value in seal.changes.items():
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
    blocks: list[Block] = []
    for seal in seals[-KEPT_STATES:]:
        values = apply(seal.changes, values)
        blocks.append(read_block(seal, values))
    return blocks


def _begin(path: Path, blocks: list[Block], finalized: int) -> Journal:
    new = path.with_suffix(".new")
    journal = Journal(new.open("wb"))
    journal.write(sealed(blocks[0], dict(blocks[0].values or {}), finalized))
    for before, block in pairwise(blocks):
        journal.write(sealed(block, changed(before.values or {}, block.values or {}), finalized))
    new.replace(path)
    return journal
