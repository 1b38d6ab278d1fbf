"""docs/guard.md: every example is a rule of its ledger, and decides what its heading says."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from strongroom.core.errors import Forbidden
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.evaluation import ActiveRule
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.guard.parsing import parse_rule
from strongroom.core.guard.proof.question import Question, prove
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SignatureRequest
from strongroom.core.storage.database import Database
from strongroom.registry import BY_NAME
from support.clock import START_MS, ManualClock, SeededEntropy
from support.trail import open_trail

pytestmark = pytest.mark.anyio
PAGE = (Path(__file__).parents[2] / "docs" / "guard.md").read_text()
EXAMPLE = re.compile(r"`([\w-]+)\.json`, ledger (\w+):\n\n```json\n(.*?)```", re.DOTALL)
EXAMPLES = {name: (ledger, document) for name, ledger, document in EXAMPLE.findall(PAGE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    passes: SignatureRequest
    fails: SignatureRequest
    hour: int = 12
    """Of a Monday, UTC, at which the first is asked; the second is asked then too, or at night for `night`."""
    night: bool = False


def asked(
    *,
    token: str = "any",  # noqa: S107 - the name of one
    wallet: str = "hot",
    kind: str = "SEND",
    amount: int = 1,
    to: str | None = None,
    source: str = "",
    **facts: str | int,
) -> SignatureRequest:
    return SignatureRequest(
        principal=Principal(name=f"token:{token}", scopes=frozenset({"*"}), source=source),
        scope="x:y",
        account="account",
        kind=kind,
        payload_hash=bytes(32),
        wallet=wallet,
        amount_raw=amount,
        destination=to,
        facts=facts,
    )


def named(name: str) -> str:
    """The address in an example, as signatures name it."""
    ledger, document = EXAMPLES[name]
    (address,) = re.findall(r'"destinations": \["([^"]+)"\]', document)
    normalize = BY_NAME[ledger].vocabulary().normalized_destination
    return str(normalize(address)) if normalize else address


STAYING = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
CASES = [
    Case(name="hot-day", passes=asked(amount=50_000 * 10**9), fails=asked()),
    Case(
        name="one-withdrawal",
        passes=asked(token="withdrawals", amount=10**12),
        fails=asked(token="withdrawals", amount=10**12 + 1),
    ),
    Case(
        name="sweeper",
        passes=asked(token="sweeper", to=named("sweeper")),
        fails=asked(token="sweeper", to="x"),
    ),
    Case(name="office-hours", passes=asked(wallet="cold"), fails=asked(wallet="cold"), night=True),
    Case(
        name="own-network",
        passes=asked(token="shop", source="10.20.3.4"),
        fails=asked(token="shop", source="10.21.3.4"),
    ),
    Case(name="hathor-hour", passes=asked(kind="TRANSFER", amount=1_000_000), fails=asked(kind="NANO")),
    Case(name="thief", passes=asked(kind="TRANSFER", to="x"), fails=asked(kind="NANO", to=named("thief"))),
    Case(
        name="two-subnets",
        passes=asked(amount=0, hotkey="default", netuid=8, call="SubtensorModule.set_weights"),
        fails=asked(amount=0, hotkey="default", netuid=9, call="SubtensorModule.set_weights"),
    ),
    Case(
        name="quarter",
        passes=asked(amount=0, netuid=8, largest_share=250_000),
        fails=asked(amount=0, netuid=8, largest_share=250_001),
    ),
    Case(
        name="known-uids",
        passes=asked(amount=0, netuid=64, uid=12),
        fails=asked(amount=0, netuid=64, uid=13),
    ),
    Case(
        name="stay",
        passes=asked(amount=0, key="hotkey", hotkey_address=STAYING),
        fails=asked(amount=0, key="coldkey", hotkey_address=STAYING),
    ),
    Case(
        name="stake-moves",
        passes=asked(kind="SubtensorModule.move_stake"),
        fails=asked(kind="SubtensorModule.transfer_stake"),
    ),
    Case(
        name="agent-allow",
        passes=asked(token="agent", to=named("agent-allow")),
        fails=asked(token="agent", to="x"),
    ),
    Case(name="agent-limit", passes=asked(token="agent", amount=5 * 10**9), fails=asked(token="agent")),
    Case(name="big-withdrawal", passes=asked(amount=10**12), fails=asked(amount=10**12 + 1)),
]


def test_every_example_has_a_case() -> None:
    assert [case.name for case in CASES] == list(EXAMPLES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_an_example_decides_what_its_heading_says(
    case: Case, database: Database, clock: ManualClock
) -> None:
    noon_ms = int(datetime(2026, 12, 7, case.hour, tzinfo=UTC).timestamp() * 1000)  # a Monday
    clock.advance((noon_ms - START_MS) / 1000)
    ledger, document = EXAMPLES[case.name]
    rules = GuardAdministration(
        database,
        Audit(clock, open_trail()),
        clock,
        SeededEntropy(),
        vocabulary=BY_NAME[ledger].vocabulary(),
        loosening_delay_ms=0,
    )
    await rules.add(OPERATOR, case.name, document)
    guard = Guard(clock, Default.DENY if case.name == "agent-allow" else Default.ALLOW, key=open_trail())
    await database.write(lambda connection: guard.authorize(connection, case.passes))
    if case.name == "stake-moves":  # two a day
        await database.write(lambda connection: guard.authorize(connection, case.passes))
    if case.night:
        clock.advance(12 * 3_600)
    with pytest.raises(Forbidden):
        await database.write(lambda connection: guard.authorize(connection, case.fails))


@pytest.mark.parametrize(
    ("names", "atto", "answer"),
    [
        (["hot-day"], 50_000, "no"),
        (["hot-day"], 49_999, "yes"),
        (["one-withdrawal"], 50_000, "yes"),
        (["hot-day", "one-withdrawal"], 50_000, "no"),
    ],
)
def test_what_the_page_says_that_rules_promise(names: list[str], atto: int, answer: str) -> None:
    vocabulary = BY_NAME["atto"].vocabulary()
    rules = [
        ActiveRule(
            id=name,
            name=name,
            rule=parse_rule(EXAMPLES[name][1], vocabulary),
            starts_at_ms=START_MS,
            ends_at_ms=None,
        )
        for name in names
    ]
    question = Question(wallet="hot", more_than=atto * 10**9)
    proof = prove(rules, Default.ALLOW, vocabulary, question, START_MS)
    assert proof.answer.value == answer
    if answer == "yes":
        assert sum(step.request.amount_raw for step in proof.steps) > 0
