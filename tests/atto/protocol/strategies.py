"""Hypothesis strategies: every value the types allow, valid on the ledger or not."""

from hypothesis import strategies as st

from strongroom.atto.protocol import (
    MAX_SUPPLY_RAW,
    U64_MAX,
    AccountEntry,
    AccountState,
    Block,
    BlockType,
    ChangeBlock,
    Network,
    OpenBlock,
    Receivable,
    ReceiveBlock,
    SendBlock,
    Transaction,
)

keys = st.binary(min_size=32, max_size=32)
hashes = keys
amounts = st.integers(0, MAX_SUPPLY_RAW)
heights = st.integers(1, U64_MAX)
timestamps = st.integers(0, 2**63 - 1)
versions = st.integers(0, 2**16 - 1)
networks = st.sampled_from(Network)

_head = {
    "network": networks,
    "version": versions,
    "public_key": keys,
    "balance": amounts,
    "timestamp": timestamps,
}
_chained = {**_head, "height": heights, "previous": hashes}

blocks: st.SearchStrategy[Block] = st.one_of(
    st.builds(OpenBlock, **_head, send_hash=hashes, representative_public_key=keys),
    st.builds(ReceiveBlock, **_chained, send_hash=hashes),
    st.builds(SendBlock, **_chained, receiver_public_key=keys, amount=amounts),
    st.builds(ChangeBlock, **_chained, representative_public_key=keys),
)
transactions = st.builds(
    Transaction,
    block=blocks,
    signature=st.binary(min_size=64, max_size=64),
    work=st.binary(min_size=8, max_size=8),
)
account_states = st.builds(
    AccountState,
    network=networks,
    version=versions,
    public_key=keys,
    height=heights,
    balance=amounts,
    frontier=hashes,
    timestamp_ms=timestamps,
    representative_public_key=keys,
)
receivables = st.builds(
    Receivable,
    network=networks,
    hash=hashes,
    version=versions,
    sender_public_key=keys,
    timestamp_ms=timestamps,
    receiver_public_key=keys,
    amount=amounts,
)
account_entries = st.builds(
    AccountEntry,
    hash=hashes,
    public_key=keys,
    height=heights,
    block_type=st.sampled_from(BlockType),
    subject_public_key=keys,
    previous_balance=amounts,
    balance=amounts,
    timestamp_ms=timestamps,
)
