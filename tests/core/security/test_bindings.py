"""A sealed value counts in the row where the service put it, as the service left it last."""

from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Connection, select

from strongroom.core.errors import VaultError
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings, HeldRow, Kind
from strongroom.core.security.keys.ring import KeyRing, ring_of
from strongroom.core.security.keys.versions import KeyState, KeyVersion, add_version
from strongroom.core.security.vault import KeyEncryptionKey, seal
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.trail import open_trail

pytestmark = pytest.mark.anyio

Elsewhere = Callable[[str], list[list[str]]]

BOX = Kind(table="box", columns=("lid", "content"), noun="Box", actions=("box.close", "box.open"))
KEY = KeyEncryptionKey(bytes(range(1, 33)))
CLOSED = HeldRow(name="red", values=(b"lid", None))
OPEN = HeldRow(name="red", values=(b"lid", b"gold"))


class Boxes:
    def __init__(
        self, database: Database, audit: Audit, key: KeyEncryptionKey = KEY, kind: Kind = BOX
    ) -> None:
        self.database = database
        self.audit = audit
        self.bindings = Bindings(ring_of(key), kind)

    async def bind(self, row: HeldRow, action: str = "box.open", subject: str | None = None) -> None:
        def work(connection: Connection) -> None:
            sequence = self.audit.append(connection, OPERATOR, action, subject or row.name)
            self.bindings.bind(connection, [row], sequence)

        await self.database.write(work)

    async def require(self, row: HeldRow) -> None:
        await self.database.read(lambda connection: self.bindings.require(connection, row))

    async def problems(self, *rows: HeldRow) -> dict[str, str]:
        return await self.database.read(lambda connection: self.bindings.problems(connection, rows))


@pytest.fixture
def boxes(database: Database, clock: ManualClock) -> Boxes:
    return Boxes(database, Audit(clock, open_trail()))


async def refused(boxes: Boxes, row: HeldRow, words: str) -> None:
    with pytest.raises(VaultError, match=f"Box {row.name} {words}") as raised:
        await boxes.require(row)
    assert raised.value.instance_code == "sealed_row_altered"
    assert await boxes.problems(row) == {row.name: words}


async def test_a_bound_row_is_taken(boxes: Boxes) -> None:
    await boxes.bind(OPEN)
    await boxes.require(OPEN)
    assert await boxes.problems(OPEN) == {}


@pytest.mark.parametrize(
    "row",
    [
        HeldRow(name="red", values=(b"lid", b"lead")),
        HeldRow(name="red", values=(b"lid", None)),
        HeldRow(name="red", values=(b"lid", b"")),
        HeldRow(name="red", values=(b"lidgold", b"")),
        HeldRow(name="red", values=(None, b"gold")),
        HeldRow(name="red", values=(b"gold", b"lid")),
    ],
)
async def test_any_other_value_is_refused(boxes: Boxes, row: HeldRow) -> None:
    await boxes.bind(OPEN)
    await refused(boxes, row, "was altered in the database")


async def test_the_same_values_in_another_row_are_refused(boxes: Boxes, elsewhere: Elsewhere) -> None:
    await boxes.bind(OPEN)
    blue = HeldRow(name="blue", values=OPEN.values)
    await refused(boxes, blue, "was not written by this service")
    await boxes.bind(blue)
    tag = "SELECT tag FROM (SELECT * FROM strongroom_binding) AS b WHERE b.row_name = 'red'"
    elsewhere(f"UPDATE strongroom_binding SET tag = ({tag}) WHERE row_name = 'blue'")  # noqa: S608 - the test's own
    await refused(boxes, blue, "was altered in the database")
    await boxes.require(OPEN)


async def test_a_row_whose_tag_was_taken_away_is_refused(boxes: Boxes, elsewhere: Elsewhere) -> None:
    await boxes.bind(OPEN)
    elsewhere("DELETE FROM strongroom_binding")
    await refused(boxes, OPEN, "was not written by this service")


async def test_an_old_row_put_back_with_its_old_tag_is_refused(boxes: Boxes, elsewhere: Elsewhere) -> None:
    await boxes.bind(OPEN)
    elsewhere("CREATE TABLE kept AS SELECT * FROM strongroom_binding")
    await boxes.bind(CLOSED, "box.close")
    elsewhere("DELETE FROM strongroom_binding; INSERT INTO strongroom_binding SELECT * FROM kept")
    await refused(boxes, OPEN, "was replaced in the database by an older version of itself")
    elsewhere("UPDATE strongroom_binding SET sequence = 2")
    await refused(boxes, OPEN, "was altered in the database")


async def test_a_tag_cannot_be_kept_out_of_the_trail_s_sight(boxes: Boxes, elsewhere: Elsewhere) -> None:
    """The trail is asked for the row's name, which is stored beside the tag for people."""
    await boxes.bind(OPEN)
    elsewhere("CREATE TABLE kept AS SELECT * FROM strongroom_binding")
    await boxes.bind(CLOSED, "box.close")
    elsewhere("DELETE FROM strongroom_binding; INSERT INTO strongroom_binding SELECT * FROM kept")
    elsewhere("UPDATE strongroom_binding SET row_name = 'blue'")
    await refused(boxes, OPEN, "was altered in the database")


async def test_other_audit_rows_about_a_row_do_not_make_it_old(boxes: Boxes) -> None:
    await boxes.bind(OPEN)

    def work(connection: Connection) -> None:
        boxes.audit.append(connection, OPERATOR, "box.paint", "red")
        boxes.audit.append(connection, OPERATOR, "box.close", "blue")

    await boxes.database.write(work)
    await boxes.require(OPEN)


async def test_another_key_and_another_table_make_other_tags(boxes: Boxes) -> None:
    await boxes.bind(OPEN)
    other = Boxes(boxes.database, boxes.audit, KeyEncryptionKey(bytes(range(2, 34))))
    await refused(other, OPEN, "was altered in the database")
    assert KeyEncryptionKey(bytes(range(2, 34))).check() != KEY.check()
    renamed = Kind(table="crate", columns=BOX.columns, noun="Box", actions=BOX.actions)
    await refused(Boxes(boxes.database, boxes.audit, kind=renamed), OPEN, "was not written by this service")


async def test_a_deleted_row_that_comes_back_is_refused(boxes: Boxes) -> None:
    await boxes.bind(OPEN)
    await boxes.database.write(lambda connection: boxes.bindings.unbind(connection, "red"))
    await refused(boxes, OPEN, "was not written by this service")


async def test_which_rows_are_sound_is_told_with_the_numbers_of_their_changes(boxes: Boxes) -> None:
    blue, green, grey = (HeldRow(name=name, values=OPEN.values) for name in ("blue", "green", "grey"))
    for row in (OPEN, blue, grey):
        await boxes.bind(row)
    altered = HeldRow(name="blue", values=(b"lid", b"lead"))
    found = await boxes.database.read(
        lambda connection: boxes.bindings.sound(connection, [OPEN, altered, green])
    )
    assert found == {"red": 1}
    rows = (OPEN, CLOSED, green)
    held = [await boxes.database.read(partial(boxes.bindings.holds, row=row)) for row in rows]
    assert held == [True, False, False]


async def test_only_the_tag_of_the_row_that_is_deleted_goes(boxes: Boxes) -> None:
    blue = HeldRow(name="blue", values=OPEN.values)
    for row in (OPEN, blue):
        await boxes.bind(row)
    await boxes.database.write(lambda connection: boxes.bindings.unbind(connection, "red"))
    assert await boxes.problems(OPEN, blue) == {"red": "was not written by this service"}


@pytest.mark.parametrize("action", ["vault.accept", "vault.abandon"])
async def test_a_row_that_an_operator_decided_about_later_is_old(boxes: Boxes, action: str) -> None:
    await boxes.bind(OPEN)
    await boxes.database.write(lambda connection: boxes.audit.append(connection, OPERATOR, action, "red"))
    await refused(boxes, OPEN, "was replaced in the database by an older version of itself")


async def test_a_row_is_bound_with_the_key_that_opens_it(boxes: Boxes) -> None:
    """Else its tag would need a key that its row does not need, or be lost with one."""
    other = KeyEncryptionKey(bytes(range(2, 34)))
    ring = KeyRing()
    ring.open({1: KEY, 2: other}, 2)
    boxes.bindings = Bindings(ring, BOX)
    under_old, under_new = (seal(key.reveal(), b"gold", bytes(12)) for key in (KEY, other))
    sealed = {"red": under_old, "blue": under_new, "green": None, "grey": b"no value of ours"}
    rows = [HeldRow(name=name, values=(under_new, value)) for name, value in sealed.items()]
    for row in rows:
        await boxes.bind(row)
    found = await boxes.database.fetch_all(select(tables.binding.c.row_name, tables.binding.c.key_version))
    assert {row.row_name: row.key_version for row in found} == {"red": 1, "blue": 2, "green": 2, "grey": 2}
    ring.open({2: other}, 2)
    why = "cannot be checked: version 1 of the key-encryption key is not here"
    assert await boxes.problems(*rows) == {"red": why}
    ring.open({1: KEY, 2: other}, 2)
    assert await boxes.problems(*rows) == {}


async def test_a_key_that_others_retired_is_no_obstacle(boxes: Boxes) -> None:
    def work(connection: Connection) -> None:
        for version, state in ((1, KeyState.ACTIVE), (2, KeyState.RETIRED)):
            added = KeyVersion(version=version, state=state, check=bytes([version]) * 32, created_at_ms=0)
            add_version(connection, added)

    await boxes.database.write(work)
    await boxes.bind(OPEN)
    await boxes.require(OPEN)


def test_a_row_shows_no_value() -> None:
    assert "gold" not in repr(OPEN)
