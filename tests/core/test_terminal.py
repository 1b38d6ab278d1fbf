"""What commands print in tables can be handed to the next command."""

import pytest
from rich.table import Table

from strongroom.core.terminal import print_table

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
