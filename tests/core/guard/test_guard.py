"""What the policy decides, and in which order it looks."""

from typing import Any

import pytest
from sqlalchemy import Connection

from strongroom.core.errors import Forbidden
from strongroom.core.guard.guard import Default
from strongroom.core.guard.state import FreezeScope, begin_change
from strongroom.core.guard.tagged_state import tag_rules
from strongroom.core.security.access import Principal, system_principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.guarding import ADMIN, Guarded, request
from support.trail import open_trail

pytestmark = pytest.mark.anyio
DENY: dict[str, Any] = {"effect": "deny", "when": {"wallets": ["hot"]}}
ALLOW: dict[str, Any] = {"effect": "allow", "when": {"destinations": ["shop"]}}


async def code(guarded: Guarded, **parts: Any) -> str:
    asked = request(**parts)
    with pytest.raises(Forbidden) as raised:
        await guarded.authorize(asked)
    with pytest.raises(Forbidden) as dry:
        await guarded.ask(asked)
    assert (dry.value.instance_code, dry.value.message) == (raised.value.instance_code, raised.value.message)
    return raised.value.instance_code


async def test_without_rules_the_default_decides(database: Database, clock: ManualClock) -> None:
    assert await Guarded(database, clock).authorize(request()) is None
    strict = Guarded(database, clock, default=Default.DENY)
    assert await code(strict) == "no_rule_allows"
    receiver = system_principal("toy-receiver")
    assert await strict.authorize(request(principal=receiver, kind="RECEIVE")) is None


async def test_the_scope_is_asked_first(guarded: Guarded) -> None:
    await guarded.add("deny", DENY)
    reader = Principal(name="token:reader", scopes=frozenset({"toy:read"}))
    assert await code(guarded, principal=reader) == "forbidden"


async def test_what_denies_wins_over_what_allows(database: Database, clock: ManualClock) -> None:
    guarded = Guarded(database, clock, default=Default.DENY)
    await guarded.add("to the shop", ALLOW)
    assert await guarded.authorize(request()) == "to the shop"
    assert await guarded.ask(request()) == "to the shop"
    assert await code(guarded, destination="thief") == "no_rule_allows"
    await guarded.add("not from hot", DENY)
    assert await code(guarded) == "rule_denied"
    assert await guarded.authorize(request(wallet="cold")) == "to the shop"


async def test_a_limit_without_a_window_looks_at_each_signature(guarded: Guarded) -> None:
    await guarded.add("at once", {"effect": "deny", "limit": {"amount_raw": "10"}})
    for _ in range(3):
        await guarded.authorize(request(amount_raw=10))
    assert await code(guarded, amount_raw=11) == "rule_limit"
    assert await code(guarded, amount_raw=0, is_amount_known=False) == "rule_limit"


async def test_an_unknown_amount_passes_no_window(guarded: Guarded) -> None:
    await guarded.add("day", {"effect": "deny", "limit": {"amount_raw": "10", "seconds": 60}})
    assert await code(guarded, amount_raw=0, is_amount_known=False) == "rule_limit"


async def test_a_change_counts_for_the_next_signature_of_every_process(
    database: Database, replica: Database, clock: ManualClock
) -> None:
    first, second = Guarded(database, clock), Guarded(replica, clock, seed=2)
    assert await second.authorize(request()) is None
    await first.add("deny", DENY)
    assert await code(second) == "rule_denied"
    await first.rules.remove(ADMIN, "deny")
    assert await second.authorize(request()) is None
    await first.rules.freeze(ADMIN, FreezeScope.LEDGER, "", "a theft")
    assert await code(second) == "frozen"
    await first.rules.unfreeze(ADMIN, FreezeScope.LEDGER, "")
    assert await second.authorize(request()) is None


@pytest.mark.parametrize(
    ("scope", "subject", "others"),
    [
        (FreezeScope.WALLET, "hot", {"wallet": "cold"}),
        (FreezeScope.TOKEN, "trader", {"principal": Principal(name="token:x", scopes=frozenset({"*"}))}),
    ],
)
async def test_a_freeze_holds_its_subject_alone(
    guarded: Guarded, scope: FreezeScope, subject: str, others: dict[str, Any]
) -> None:
    await guarded.rules.freeze(ADMIN, scope, subject, "a stolen laptop")
    with pytest.raises(Forbidden, match="is frozen \\(a stolen laptop\\)"):
        await guarded.authorize(request())
    assert await guarded.authorize(request(**others)) is None


async def test_a_freeze_of_the_ledger_holds_the_service_too(guarded: Guarded) -> None:
    await guarded.rules.freeze(ADMIN, FreezeScope.LEDGER, "", "a theft")
    receiver = system_principal("toy-receiver")
    with pytest.raises(Forbidden, match="the ledger is frozen"):
        await guarded.authorize(request(principal=receiver, kind="RECEIVE"))


async def test_a_question_counts_nothing(guarded: Guarded) -> None:
    await guarded.add("two", {"effect": "deny", "limit": {"count": 2, "seconds": 60}})
    for _ in range(5):
        assert await guarded.ask(request()) is None
    await guarded.authorize(request())
    await guarded.authorize(request())
    assert await code(guarded) == "rule_limit"


async def test_what_was_read_of_a_change_that_was_undone_is_not_kept(
    database: Database, clock: ManualClock
) -> None:
    """Units of SQLite commit in groups: one may read what another changed, and the commit of both may fail."""
    guarded = Guarded(database, clock)

    class UndoneError(Exception):
        pass

    def undone(connection: Connection) -> None:
        begin_change(connection, open_trail(), SeededEntropy(5))
        tag_rules(connection, Audit(clock, open_trail()), ADMIN)
        guarded.authorize_in(connection, request())
        raise UndoneError

    with pytest.raises(UndoneError):
        await database.write(undone)
    await guarded.add("deny", DENY)
    assert await code(guarded) == "rule_denied"
