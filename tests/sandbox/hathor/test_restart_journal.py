"""A sandbox node tells the same events after a restart."""

from pathlib import Path

from strongroom.hathor.protocol.addresses import PRIVATENET
from strongroom_sandbox.hathor.restart_journal import open_node
from support.clock import ManualClock, SeededEntropy

ADDRESS = "WTMKB5FdxqGpzUw5YW8tJXHy4bBCHRTdZU"


def test_events_are_the_same_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "hathor.jsonl"
    clock, entropy = ManualClock(), SeededEntropy()
    node = open_node(path, clock, entropy, PRIVATENET)
    for value in (100, 200, 300):
        clock.advance(5)
        node.faucet(ADDRESS, value)
        node.mine()
    clock.advance(100)
    again = open_node(path, clock, entropy, PRIVATENET)
    assert again.chain.journal.events == node.chain.journal.events
    assert again.chain.journal.stream_id == node.chain.journal.stream_id
    again.faucet(ADDRESS, 400)
    assert len(open_node(path, clock, entropy, PRIVATENET).chain.vertices) == len(again.chain.vertices)


def test_a_line_cut_short_never_happened(tmp_path: Path) -> None:
    path = tmp_path / "hathor.jsonl"
    clock, entropy = ManualClock(), SeededEntropy()
    node = open_node(path, clock, entropy, PRIVATENET)
    node.mine()
    events = list(node.chain.journal.events)
    with path.open("ab") as file:
        file.write(b'{"type":"mine","now_s":1')
    again = open_node(path, clock, entropy, PRIVATENET)
    assert again.chain.journal.events == events
    again.mine()
    assert open_node(path, clock, entropy, PRIVATENET).chain.journal.events == again.chain.journal.events
