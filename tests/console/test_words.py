from strongroom.console.charts import bars
from strongroom.console.words import amount, count, distance, duration, short, state, when
from strongroom.core.ledger.contract import Coin

ATTO = Coin("ATTO", 9)
HTR = Coin("HTR", 2)


def test_amounts_are_written_as_people_do() -> None:
    assert amount("1250500000000", ATTO) == '1,250.50 <span class="unit">ATTO</span>'
    assert amount(1, ATTO) == '0.000000001 <span class="unit">ATTO</span>'
    assert amount("10", HTR) == '0.10 <span class="unit">HTR</span>'
    assert amount("200", HTR) == '2 <span class="unit">HTR</span>'
    assert amount(str(2**200), Coin("raw", 0)).startswith(f"{2**200:,} ")
    assert "—" in amount(None, HTR)
    assert amount("<b>", HTR) == "&lt;b&gt;"
    assert amount("3", HTR, "<i>") == '3 <span class="id">&lt;i&gt;</span>'


def test_ids_are_short_and_whole() -> None:
    text = "aafxlu732otcmb4lvgikoe3rqslccsf66jausp67x3bjigsit53mn5rlnwbnc"
    assert short(text).striptags() == text
    assert 'title="' + text in short(text)
    assert short("<x>" * 20).count("<x>") == 0


def test_times_are_as_long_ago_as_they_are() -> None:
    assert distance(1000, 1000) == "now"
    assert distance(0, 12_000) == "12 s ago"
    assert distance(7_200_000, 0) == "in 2 h"
    assert duration(400) == "400 ms"
    shown = when("2026-11-21T08:57:00.123Z", 1_795_251_420_123 + 60_000)
    assert "2026-11-21 08:57:00.123 UTC" in shown


def test_numbers_and_states_are_words() -> None:
    assert [count(number, "payment") for number in (0, 1, 1200)] == [
        "no payments",
        "1 payment",
        "1,200 payments",
    ]
    assert state("DOWN") == '<span class="state bad">down</span>'
    assert state("<x>") == '<span class="state plain">&lt;x&gt;</span>'


def test_a_chart_says_what_it_shows() -> None:
    drawn = bars([0, 1, 2], 'at most "2"')
    assert drawn.count("<rect") == 2
    assert 'aria-label="at most &#34;2&#34;"' in drawn
    assert bars([], "nothing").count("<rect") == 0
