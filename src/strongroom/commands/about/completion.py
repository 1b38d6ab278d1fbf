"""`strongroom completion`: what a shell needs to complete the commands by itself.

The script holds all words. The shell asks no program when somebody presses TAB, so that it answers at once and loads nothing.
"""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any

import typer

from strongroom.registry import LEDGERS

LEDGER_PARAMETERS = {"ledger", "ledgers"}
"""Parameters whose values are names of ledgers."""


class Shell(enum.StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What may stand after a command: its commands or values, its options, and the values of these."""

    path: str
    following: tuple[str, ...]
    options: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]
    """By the option; an option that is followed by a word of the caller's has none."""


def completion(
    context: typer.Context, shell: Annotated[Shell, typer.Argument(help="For which shell.")]
) -> None:
    """Print what completes the commands in a shell: bash, zsh or fish."""
    root: Any = context.find_root().command
    typer.echo(script(shell, tuple(_walk(root, "strongroom"))), nl=False)


def script(shell: Shell, commands: tuple[Words, ...]) -> str:
    """The text of a file for this shell."""
    frame = files(__package__).joinpath(f"strongroom.{shell}").read_text("utf-8")
    tables = _fish(commands) if shell is Shell.FISH else _arrays(commands)
    return frame.replace("# THE WORDS\n", tables)


def _arrays(commands: tuple[Words, ...]) -> str:
    """For bash and zsh: arrays by the command, and by the command with its option."""
    lines = [
        *_array("_strongroom_following", {one.path: one.following for one in commands}),
        *_array("_strongroom_options", {one.path: one.options for one in commands}),
        *_array(
            "_strongroom_values",
            {f"{one.path} {option}": values for one in commands for option, values in one.values.items()},
        ),
    ]
    return "".join(f"{line}\n" for line in lines)


def _array(name: str, words: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    yield f"typeset -gA {name}=("
    for key, each in words.items():
        yield f"  ['{key}']='{' '.join(each)}'"
    yield ")"


def _fish(commands: tuple[Words, ...]) -> str:
    known = " ".join(f"'{one.path}'" for one in commands)
    lines = [f"set -g __strongroom_commands {known}"]
    for one in commands:
        at = f"complete -c strongroom -f -n '__strongroom_at {one.path}'"
        if one.following:
            lines.append(f"{at} -a '{' '.join(one.following)}'")
        for option in one.options:
            takes = one.values.get(option)
            value = "" if takes is None else f" -x -a '{' '.join(takes)}'"
            lines.append(f"{at} -l {option.removeprefix('--')}{value}")
    return "".join(f"{line}\n" for line in lines)


def _walk(command: Any, path: str) -> Iterator[Words]:
    """The command and those below it; `command` is one of click's, whose types typer has vendored."""
    names = command.list_commands(None) if hasattr(command, "list_commands") else []
    below = {name: command.get_command(None, name) for name in names}
    shown = {name: one for name, one in below.items() if not one.hidden}
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    values = {
        option: _choices(one)
        for one in options
        if not one.is_flag
        for option in one.opts
        if option.startswith("--")
    }
    yield Words(
        path=path,
        following=(*shown, *(value for one in arguments for value in _choices(one))),
        options=(
            *(opt for one in options for opt in (*one.opts, *one.secondary_opts) if opt.startswith("--")),
            "--help",
        ),
        values=values,
    )
    for name, one in shown.items():
        yield from _walk(one, f"{path} {name}")


def _choices(parameter: Any) -> tuple[str, ...]:
    if parameter.name in LEDGER_PARAMETERS:
        return tuple(ledger.name for ledger in LEDGERS)
    return tuple(str(choice) for choice in parameter.type_descriptor.choices or ())
