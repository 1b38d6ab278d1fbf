"""An operator learns of every mistake at once."""

from pathlib import Path

import pytest

from strongroom.core.environment import Environment, Secret, SettingsError


def test_every_mistake_is_collected_and_raised_together(tmp_path: Path) -> None:
    environment = Environment(
        {
            "COUNT": "many",
            "LOW": "-1",
            "PORT": "65536",
            "FLAG": "maybe",
            "NODE": "ftp://node",
            "KEY": "a",
            "KEY_FILE": "b",
            "OTHER_FILE": str(tmp_path / "missing"),
        }
    )
    assert environment.text("NAME") == ""
    assert environment.integer("COUNT", 7) == 7
    assert environment.integer("LOW", 8) == 8
    assert environment.port("PORT", 9) == 9
    assert environment.flag("FLAG", default=True) is False
    environment.url("NODE")
    environment.secret("KEY")
    assert environment.secret("OTHER") is None
    environment.parsed("ADDRESS", "x", int, 0)
    environment.mistake("A and B exclude each other")
    with pytest.raises(SettingsError) as raised:
        environment.raise_mistakes()
    assert raised.value.mistakes == [
        "NAME is required",
        "COUNT: must be a whole number, not 'many'",
        "LOW must be from 0 to 9223372036854775807, not -1",
        "PORT must be from 0 to 65535, not 65536",
        "FLAG must be true or false, not 'maybe'",
        "NODE must be an http or https URL, not 'ftp://node'",
        "KEY and KEY_FILE are both set; keep one",
        f"OTHER_FILE: [Errno 2] No such file or directory: '{tmp_path / 'missing'}'",
        "ADDRESS: invalid literal for int() with base 10: 'x'",
        "A and B exclude each other",
    ]
    assert str(raised.value) == "\n".join(raised.value.mistakes)


def test_without_mistakes_nothing_is_raised() -> None:
    environment = Environment({})
    assert environment.text("NAME", "default") == "default"
    environment.raise_mistakes()
    assert environment.mistakes == []


def test_an_empty_variable_counts_as_unset() -> None:
    environment = Environment({"A": "", "B": "b"})
    assert not environment.is_set("A")
    assert environment.is_set("B")
    assert environment.optional("A") is None
    assert environment.text("A", "default") == "default"
    assert environment.integer("A", 3) == 3
    assert environment.flag("A", default=True) is True
    assert environment.url("A") is None
    assert environment.secret("A") is None
    assert environment.first("A", "B", "C") == "b"
    assert environment.first("A", "C") is None
    assert environment.mistakes == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("true", "TRUE", "1", "yes", "On")),
        *((text, False) for text in ("false", "0", "No", "off")),
    ],
)
def test_flags_have_many_spellings(text: str, value: bool) -> None:
    environment = Environment({"FLAG": text})
    assert environment.flag("FLAG", default=not value) is value
    assert environment.mistakes == []


def test_limits_of_a_number_are_included() -> None:
    environment = Environment({"A": "1", "B": "5"})
    assert environment.integer("A", 3, low=1, high=5) == 1
    assert environment.integer("B", 3, low=1, high=5) == 5
    assert environment.mistakes == []


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("http://node", "http://node"),
        ("https://user:pass@node.example:8080/base/", "https://user:pass@node.example:8080/base"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_a_url_is_exact_and_a_base_loses_its_last_slash(text: str, base: str) -> None:
    environment = Environment({"NODE": text})
    assert (environment.url("NODE"), environment.base_url("NODE")) == (text, base)
    assert environment.mistakes == []


@pytest.mark.parametrize(
    "text",
    [
        "node:80",
        "http://",
        "ws://node",
        "http://[::1",
        "http://node:port",
        "http://node:65536",
    ],
)
def test_what_is_no_url_is_a_mistake(text: str) -> None:
    environment = Environment({"NODE": text})
    environment.url("NODE")
    assert environment.mistakes == [f"NODE must be an http or https URL, not {text!r}"]


def test_a_mistake_repeats_no_password() -> None:
    environment = Environment({"NODE": "ftp://user:open-sesame@node"})
    environment.url("NODE")
    assert environment.mistakes == ["NODE must be an http or https URL, not 'node'"]


def test_a_list_of_names_ignores_spaces_and_repetitions() -> None:
    environment = Environment({"NAMES": " a, b,,a "})
    assert environment.names("NAMES") == {"a", "b"}
    assert environment.names("OTHER") == frozenset()


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("open sesame\n")
    environment = Environment({"A": "direct", "B_FILE": str(file)})
    direct, from_file = environment.secret("A"), environment.secret("B")
    assert direct is not None
    assert direct.reveal() == "direct"
    assert from_file is not None
    assert from_file.reveal() == "open sesame"
    assert environment.mistakes == []


def test_an_empty_file_is_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("\n")
    environment = Environment({"A_FILE": str(file)})
    assert environment.secret("A") is None
    assert environment.mistakes == [f"A_FILE: the file {file} is empty"]


def test_a_secret_is_never_shown() -> None:
    shown = f"{Secret('open sesame')!r} {Secret('open sesame')} {[Secret('open sesame')]}"
    assert "sesame" not in shown
    assert repr(Secret("")) == "[empty]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("htp://node:80/hook/canary?token=canary#canary", "htp://node:80"),
        ("http:///canary", "http://"),
        ("htp://user:can/ary@node/canary", "node"),
        ("htp://node/hook?from=canary@b/canary", "b"),
        ("node/canary", "node"),
        ("ftp://node?token=canary", "ftp://node"),
    ],
)
def test_of_a_wrong_url_only_the_host_is_shown(text: str, shown: str) -> None:
    environment = Environment({"NODE": text})
    environment.url("NODE")
    assert environment.mistakes == [f"NODE must be an http or https URL, not {shown!r}"]


def test_bytes_that_are_no_utf_8_are_a_mistake() -> None:
    """As Python reads them from the process's environment."""
    environment = Environment({"KEY": "\udcff" * 32, "NODE": "http://\udcff"})
    assert environment.secret("KEY") is None
    assert environment.url("NODE") is None
    assert environment.mistakes == ["KEY has bytes that are no UTF-8", "NODE has bytes that are no UTF-8"]
