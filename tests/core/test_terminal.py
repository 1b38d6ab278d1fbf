"""What commands print in tables can be handed to the next command."""

import re
from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from strongroom.core.terminal import LINE_S, QUIET_S, print_table, progress
from support.clock import ManualClock

ID = "validator/" + "k" * 150


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    table = Table("row", "state")
    table.add_column("id", no_wrap=True)
    table.add_row(ID, "good", ID)
    print_table(table)
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", ["20", "80", "400"])
def test_into_a_pipe_each_name_goes_whole_into_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert max(line.count(ID) for line in shown(capsys).splitlines()) == 2


def test_on_a_narrow_terminal_nothing_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    text = shown(capsys)
    assert text.count("k") == 300
    assert "…" not in text


@pytest.mark.parametrize("columns", ["1", "40", "80"])
def test_on_a_terminal_without_room_for_its_columns_each_row_is_a_list(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    names = [f"name {number}" for number in range(11)]
    table = Table(*names)
    for row in range(2):
        table.add_row(*(f"[b]row {row}[/b], {name}" for name in names[:-1]), Text(""))
    print_table(table)
    shown = re.sub("\x1b[^m]*m", "", capsys.readouterr().out)
    told = "".join(shown.split()) if columns == "1" else shown
    for row in range(2):
        for name in names[:-1]:
            line = f"{name}: row {row}, {name}"
            assert ("".join(line.split()) if columns == "1" else line) in told
    assert "name 10" not in shown


@pytest.mark.parametrize("columns", ["10", "80"])
@pytest.mark.parametrize("is_terminal", [False, True])
def test_what_others_wrote_commands_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str, *, is_terminal: bool
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    table = Table("id", "reason", "why")
    table.add_row(Text("a\x1b[2J"), "b\x1b]0;c\x07", Text("d\x9b31m"))
    print_table(table)
    shown = capsys.readouterr().out
    assert not re.search("\x1b\\[2J|\x1b\\]|\x07|\x9b", shown)
    assert shown.count("\ufffd") >= 3


def test_what_ends_within_a_second_shows_no_progress(clock: ManualClock) -> None:
    told = StringIO()
    with progress("rows", clock, Console(file=told)) as advance:
        clock.advance(QUIET_S - 0.001)
        advance(1, 2)
    assert told.getvalue() == ""


def test_what_takes_longer_tells_it_now_and_then(clock: ManualClock) -> None:
    told = StringIO()
    with progress("rows", clock, Console(file=told)) as advance:
        clock.advance(QUIET_S)
        advance(1, 4)
        clock.advance(LINE_S - 1)
        advance(2, 4)
        clock.advance(1)
        advance(3, 4)
    assert told.getvalue() == "rows: 1 of 4\nrows: 3 of 4\n"


def test_on_a_terminal_it_is_a_bar_that_goes_away(clock: ManualClock) -> None:
    told = StringIO()
    with progress("rows", clock, Console(file=told, force_terminal=True, width=80)) as advance:
        clock.advance(QUIET_S)
        advance(1, 4)
    assert "rows" in told.getvalue()
    assert "25%" in told.getvalue()
    assert told.getvalue().endswith("\x1b[2K"), "the bar is wiped away"
