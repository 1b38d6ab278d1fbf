"""What each stable error code means, and what helps. docs/errors.md is made of it; a person gets it beside the code.

The tables are complete: tests compare them with every code that the source gives an error.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Advice(NamedTuple):
    status: int
    """Of the HTTP answer; 0: no surface answers with it, only commands, logs, health or the start say it."""
    meaning: str
    """What happened, in one sentence."""
    help: str
    """What to do now, in one sentence."""


class Chapter(NamedTuple):
    title: str
    surfaces: str
    """Who says these codes, and where they stand in an answer."""
    codes: Mapping[str, Advice]
