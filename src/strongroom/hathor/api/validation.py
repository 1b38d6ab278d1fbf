"""Checks of bodies and queries, in the words of the original's validator (Joi 17.4), all mistakes at once.

A body is strict; a query (`convert`) may write numbers and booleans as text. `Schema.check` returns the values by name,
defaults filled in. Every check also describes itself, for the OpenAPI document.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from strongroom.hathor.amounts import MAX_SAFE
from strongroom.hathor.api.refusal import Refusal

BASE58 = "^[A-HJ-NP-Za-km-z1-9]*$"
ALPHANUMERIC = "^[A-Za-z0-9]+$"
AMOUNT = r"^\s*(\+?0*[1-9][0-9]*|0[xX]0*[1-9a-fA-F][0-9a-fA-F]*|0[oO]0*[1-7][0-7]*|0[bB]0*1[01]*)\s*$"
"""What JavaScript's BigInt reads as a positive integer."""
AMOUNT_LETTERS = 1000
NO_AMOUNT = r"\s*(\+?0+|-[0-9]+|0[xX]0+|0[oO]0+|0[bB]0+)?\s*"
"""What it reads as zero or less."""

Messages = list[str]


@dataclass(frozen=True, slots=True)
class Check:
    """Takes a value, and whether to convert it; returns it and what is wrong with it."""

    run: Callable[[Any, bool], tuple[Any, Messages]]
    described: Mapping[str, object]
    """What it accepts, as JSON Schema."""

    def __call__(self, value: Any, convert: bool) -> tuple[Any, Messages]:
        return self.run(value, convert)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    message: str
    path: tuple[str | int, ...] = ()

    def encode(self) -> dict[str, object]:
        return {"message": self.message, "path": list(self.path)}


ANYTHING = Check(lambda value, _convert: (value, []), {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    check: Check = ANYTHING
    required: bool = False
    default: Any = None
    items: bool = False
    """The check is of each item of an array of 1 to `max_items`."""
    max_items: int = 512
    min_items: int = 1
    objects: "Schema | None" = None
    """What each item must be, instead of `check`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    keys: Mapping[str, Key]
    together: Sequence[tuple[str, ...]] = ()
    """Groups of which all keys come, or none."""
    apart: Sequence[tuple[str, str]] = ()
    """Pairs of which at most one comes."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """A key, and the one that it needs beside it."""
    unknown: bool = False
    """Pass over unknown keys."""
    first_only: bool = False
    """Tell the first mistake alone."""

    def check(self, value: object, *, convert: bool = False) -> dict[str, Any]:
        """The values by name; keys that are absent and have no default are None.

        Raises:
            Refusal: 400 `invalid-payload` with `details`.
        """
        values, problems = self.find(value, convert=convert)
        if problems:
            raise invalid_payload(problems[:1] if self.first_only else problems)
        return values

    def find(self, value: object, *, convert: bool) -> tuple[dict[str, Any], list[Problem]]:
        """The values, and all mistakes."""
        if not isinstance(value, Mapping):
            return {}, [Problem(message='"value" must be of type object')]
        values, problems = self._keys(value, convert=convert)
        if not self.unknown:
            strangers = [name for name in value if name not in self.keys]
            problems += [Problem(message=f'"{name}" is not allowed', path=(name,)) for name in strangers]
        return values, [*problems, *self._relations(value)]

    def _keys(self, value: Mapping[str, Any], *, convert: bool) -> tuple[dict[str, Any], list[Problem]]:
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, key in self.keys.items():
            values[name] = key.default
            if name not in value:
                if key.required:
                    problems.append(Problem(message=f'"{name}" is required', path=(name,)))
            elif key.items:
                values[name], found = _check_items(name, key, value[name], convert=convert)
                problems += found
            else:
                values[name], messages = key.check(value[name], convert)
                problems += [Problem(message=f'"{name}" {text}', path=(name,)) for text in messages]
        return values, problems

    def _relations(self, value: Mapping[str, Any]) -> Iterable[Problem]:
        for group in self.together:
            present = [name for name in group if name in value]
            missing = [name for name in group if name not in value]
            if present and missing:
                yield _lone(present, missing)
        for name, peer in self.needs.items():
            if name in value and peer not in value:
                yield _lone([name], [peer])
        for one, other in self.apart:
            if one in value and other in value:
                yield Problem(message=f'"{one}" must not exist simultaneously with [{other}]')


def text(
    *,
    pattern: str | None = None,
    alphanumeric: bool = False,
    least: int = 0,
    most: int | None = None,
    only: Sequence[str] = (),
) -> Check:
    """A string that is not empty; lengths as JavaScript counts them, in units of UTF-16."""
    # For Python, not for JavaScript, `$` is also before a last line feed.
    compiled = re.compile(pattern.removesuffix("$") + r"\Z") if pattern else None

    def check(value: Any, _convert: bool) -> tuple[Any, Messages]:
        found: Messages = []
        if only and value not in only:
            found.append(f"must be one of [{', '.join(only)}]")
        if not isinstance(value, str):
            return value, found or ["must be a string"]
        if not value:
            return value, [*found, "is not allowed to be empty"]
        if compiled is not None and not compiled.search(value):
            found.append(f'with value "{value}" fails to match the required pattern: /{pattern}/')
        if alphanumeric and not re.fullmatch(ALPHANUMERIC, value):
            found.append("must only contain alpha-numeric characters")
        size = len(value) if value.isascii() else len(value.encode("utf-16-le")) // 2
        if size < least:
            found.append(f"length must be at least {least} characters long")
        if most is not None and size > most:
            found.append(f"length must be less than or equal to {most} characters long")
        return value, found

    if only:
        return Check(check, {"type": "string", "enum": list(only)})
    lengths = {"minLength": max(1, least)} | ({} if most is None else {"maxLength": most})
    form = pattern or (ALPHANUMERIC if alphanumeric else None)
    return Check(check, {"type": "string", **lengths} | ({"pattern": form} if form else {}))


def number(
    *, integer: bool = False, positive: bool = False, low: int | None = None, high: int | None = None
) -> Check:
    """A number that JavaScript can hold exactly; in a query also as text."""

    def check(value: Any, convert: bool) -> tuple[Any, Messages]:
        if convert and isinstance(value, str):
            value = _number(value)
        elif isinstance(value, float) and math.isinf(value):
            return value, ["cannot be infinity"]
        if (wrong := _kind(value)) is not None:
            return value, [wrong]
        found: Messages = []
        if integer and value != int(value):
            found.append("must be an integer")
        if positive and value <= 0:
            found.append("must be a positive number")
        if low is not None and value < low:
            found.append(f"must be greater than or equal to {low}")
        if high is not None and value > high:
            found.append(f"must be less than or equal to {high}")
        return (int(value) if value == int(value) else value), found

    described: dict[str, object] = {"type": "integer" if integer else "number"}
    described["maximum"] = MAX_SAFE if high is None else high
    if positive:
        described["exclusiveMinimum"] = 0
    else:
        described["minimum"] = -MAX_SAFE if low is None else low
    return Check(check, described)


def optional(check: Check) -> Check:
    """The same, or null."""

    def run(value: Any, convert: bool) -> tuple[Any, Messages]:
        return (None, []) if value is None else check(value, convert)

    return Check(run, {"anyOf": [dict(check.described), {"type": "null"}]})


def flag(*, convert_always: bool = False) -> Check:
    def check(value: Any, convert: bool) -> tuple[Any, Messages]:
        if (convert or convert_always) and isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true", []
        return value, [] if isinstance(value, bool) else ["must be a boolean"]

    return Check(check, {"type": "boolean"})


def amount() -> Check:
    """A positive amount, as decimal text or a number."""

    def check(value: Any, _convert: bool) -> tuple[Any, Messages]:
        written = str(value)
        is_short = len(written) <= AMOUNT_LETTERS
        if is_short and re.fullmatch(NO_AMOUNT, written):
            return value, ["failed custom validation because value must be positive"]
        if isinstance(value, bool) or not (is_short and re.fullmatch(AMOUNT, written)):
            return value, [f"failed custom validation because Cannot convert {written} to a BigInt"]
        return int(written, 0 if written.lstrip()[1:2].isalpha() else 10), []

    return Check(check, {"type": "string", "pattern": AMOUNT, "maxLength": AMOUNT_LETTERS})


def invalid_payload(problems: Sequence[Problem]) -> Refusal:
    return Refusal(400, "invalid-payload", details=[problem.encode() for problem in problems])


def _check_items(name: str, key: Key, value: Any, *, convert: bool) -> tuple[Any, list[Problem]]:
    if not isinstance(value, list):
        return value, [Problem(message=f'"{name}" must be an array', path=(name,))]
    values: list[Any] = []
    found: list[Problem] = []
    for index, item in enumerate(value):
        checked, problems = _check_item(f"{name}[{index}]", (name, index), key, item, convert=convert)
        values.append(checked)
        found += problems
    if len(value) < key.min_items:
        found.append(Problem(message=f'"{name}" must contain at least {key.min_items} items', path=(name,)))
    if len(value) > key.max_items:
        found.append(
            Problem(
                message=f'"{name}" must contain less than or equal to {key.max_items} items', path=(name,)
            )
        )
    return values, found


def _check_item(
    label: str, path: tuple[str | int, ...], key: Key, item: Any, *, convert: bool
) -> tuple[Any, list[Problem]]:
    """Of a list of objects the mistakes name the whole way to them."""
    if key.objects is None:
        value, messages = key.check(item, convert)
        return value, [Problem(message=f'"{label}" {message}', path=path) for message in messages]
    values, problems = key.objects.find(item, convert=convert)
    return values, [
        Problem(message=f'"{label}.{problem.message[1:]}', path=(*path, *problem.path))
        if problem.path
        else Problem(message=problem.message.replace('"value"', f'"{label}"'), path=path)
        for problem in problems
    ]


def _lone(present: Sequence[str], missing: Sequence[str]) -> Problem:
    return Problem(
        message=f'"value" contains [{", ".join(present)}] without its required peers [{", ".join(missing)}]'
    )


def _kind(value: object) -> str | None:
    """What is wrong with it as a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "must be a number"
    return "must be a safe number" if abs(value) > MAX_SAFE else None


def _number(written: str) -> float | int | str:
    """Infinity for what a float holds only rounded."""
    if re.fullmatch(r"\s*[+-]?[0-9]{1,1000}\s*", written):
        return int(written)
    if not re.fullmatch(r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*", written):
        return written
    value = float(written)
    if not value:
        return math.inf if re.search("[1-9]", re.split("[eE]", written)[0]) else 0
    return value if math.isfinite(value) and Decimal(written.strip()) == Decimal(repr(value)) else math.inf
