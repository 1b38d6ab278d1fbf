import re
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from commands.conftest import Installation
from strongroom.atto.commands.demo import format_atto
from strongroom.atto.protocol import MAX_SUPPLY_RAW, RAW_PER_ATTO


def test_the_demo_shows_a_payment_from_the_faucet_to_the_history(installation: Installation) -> None:
    ended = installation.run("demo")
    assert ended.status == 0, ended
    told = "\n".join(ended.stdout)
    for part in (
        r"The faucet sent 50 ATTO to Alice, received by itself in \d+\.\d\d s",
        r"Alice sent 10 ATTO to Bob in \d+\.\d\d s",
        r"the same transaction, paid\s+once",
        r"│ 1 +│ OPEN │ +\+10 │ +10 │",
        r"│ 2 +│ SEND │ +-10 │ +40 │",
        r"│ 1 +│ OPEN │ +\+50 │ +50 │",
    ):
        assert re.search(part, told), told


def test_the_demo_says_what_to_start_when_nothing_answers(installation: Installation) -> None:
    ended = installation.run("demo", "--url", "http://127.0.0.1:9")
    assert ended.status == 1
    assert ended.stderr == [
        (
            "strongroom: http://127.0.0.1:9 or http://127.0.0.1:"
            f"{installation.variables['SANDBOX_ATTO_NODE_PORT']} does not answer (ConnectError);"
            " start the service first: scripts/run"
        )
    ]


@given(st.integers(-MAX_SUPPLY_RAW, MAX_SUPPLY_RAW))
def test_an_amount_is_written_exactly(amount_raw: int) -> None:
    text = format_atto(amount_raw)
    assert Decimal(text) * RAW_PER_ATTO == amount_raw
    assert re.fullmatch(r"-?(0|[1-9]\d*)(\.\d{0,8}[1-9])?", text)


def test_the_smallest_and_the_largest_amount() -> None:
    assert [format_atto(raw) for raw in (0, 1, -1, 10**9, MAX_SUPPLY_RAW, MAX_SUPPLY_RAW - 1)] == [
        "0",
        "0.000000001",
        "-0.000000001",
        "1",
        "18000000000",
        "17999999999.999999999",
    ]
