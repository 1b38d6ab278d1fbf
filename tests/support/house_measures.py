"""How large the parts of the source are: what tests/house/test_limits.py holds against its limits."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).parents[2] / "src"


class Measured(NamedTuple):
    """A part, by its place, and how large it is."""

    place: str
    size: int


def files() -> Iterator[Measured]:
    """Lines of each file."""
    for path in _sources():
        yield Measured(_name(path), len(path.read_text().splitlines()))


def functions() -> Iterator[Measured]:
    """Lines of each function, its docstring and its signature too."""
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                yield Measured(f"{_name(path)} {node.name}", node.end_lineno - node.lineno + 1)


def constructors() -> Iterator[Measured]:
    """Collaborators of each class that has an `__init__`: its parameters but `self`. Dataclasses are values."""
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    parameters = method.args.posonlyargs + method.args.args + method.args.kwonlyargs
                    yield Measured(f"{_name(path)} {node.name}", len(parameters) - 1)


def folders() -> Iterator[Measured]:
    """Modules of each folder, without its `__init__.py`. Migrations are a sequence, not loose files."""
    count = Counter(path.parent for path in _sources() if path.name != "__init__.py")
    for folder, size in count.items():
        if folder.name != "revisions":
            yield Measured(_name(folder), size)


def _sources() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if "__pycache__" not in path.parts)


def _name(path: Path) -> str:
    return str(path.relative_to(SOURCE))
