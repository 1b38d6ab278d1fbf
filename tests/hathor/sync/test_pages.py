"""Pages are read ahead of the batch, up to the end of the node's queue or to its failure."""

import pytest

from strongroom.core.errors import Unavailable
from strongroom.hathor.gateway.events import HttpEventNode
from strongroom.hathor.sync.pages import PageReader, PagesRead
from strongroom_sandbox.hathor.generate import Generator
from support.hathor.running import replaying, serving_node
from support.waiting import eventually

pytestmark = pytest.mark.anyio


async def read_to_the_end(reader: PageReader) -> list[PagesRead]:
    read = [await reader.take()]
    while not read[-1].is_end and read[-1].failure is None:
        read.append(await reader.take())
    return read


async def test_every_event_after_the_first_comes_once_and_in_order() -> None:
    journal = Generator(3).run(8_000)
    async with serving_node(replaying(journal)) as url:
        node = HttpEventNode(url)
        async with PageReader(node, 17) as reader:
            read = await read_to_the_end(reader)
        await node.close()
    ids = [event.id for part in read for event in part.events]
    assert ids == list(range(18, journal.latest_id + 1))
    assert read[-1].failure is None


async def test_a_failure_comes_behind_the_pages_before_it() -> None:
    journal = Generator(3).run(8_000)
    node = replaying(journal)
    async with serving_node(node) as url:
        client = HttpEventNode(url)
        async with PageReader(client, -1) as reader:
            first = await reader.take()
            await eventually(reader._read.full)
            node.faults.pages_down = 10**9
            rest = await read_to_the_end(reader)
        await client.close()
    assert first.failure is None
    assert isinstance(rest[-1].failure, Unavailable)
    ids = [event.id for part in (first, *rest) for event in part.events]
    assert ids == list(range(len(ids)))
    assert len(ids) < len(journal.events)


async def test_the_reading_ends_with_its_context() -> None:
    journal = Generator(3).run(8_000)
    async with serving_node(replaying(journal)) as url:
        node = HttpEventNode(url)
        async with PageReader(node, -1) as reader:
            await eventually(reader._read.full)  # nobody takes what is read
            task = reader._task
        await node.close()
    assert task is not None
    assert task.cancelled()
