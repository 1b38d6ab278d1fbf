"""Finds every error code in the source: what errors, refusals and findings are given as their `code`."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import strongroom
from strongroom.core.errors import StrongroomError

SOURCE = Path(strongroom.__file__).parent
HATHORS = {"Refusal": 1, "ProposalRefused": 0}
"""Which argument is the code, of the classes whose words Hathor's clients read."""


class Coded(NamedTuple):
    code: str
    name: str
    """Of the class or function that got it."""
    file: str


def find_codes() -> Iterator[Coded]:
    """Each code with where it is given. A constant of the same file or an imported one is looked up."""
    trees = {_module(path): (path, ast.parse(path.read_text())) for path in SOURCE.rglob("*.py")}
    constants = {module: dict(_constants(tree)) for module, (_, tree) in trees.items()}
    for module, (path, tree) in trees.items():
        names = dict(constants[module])
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in constants:
                for alias in node.names:
                    if alias.name in constants[node.module]:
                        names[alias.asname or alias.name] = constants[node.module][alias.name]
        file = str(path.relative_to(SOURCE))
        places = _positions(tree) | HATHORS
        for node in ast.walk(tree):
            for name, value in _given(node, places):
                yield from (Coded(code, name, file) for code in _texts(value, names))


def classes() -> Mapping[str, list[type[StrongroomError]]]:
    """Every class of errors, by its name, which two ledgers may share. It imports the whole service."""
    for found in pkgutil.walk_packages(strongroom.__path__, "strongroom."):
        if not found.name.endswith(("__main__", "_work")):
            importlib.import_module(found.name)
    by_name: dict[str, list[type[StrongroomError]]] = {}
    for one in _below(StrongroomError):
        by_name.setdefault(one.__name__, []).append(one)
    return by_name


def _below(above: type[StrongroomError]) -> Iterator[type[StrongroomError]]:
    yield above
    for below in above.__subclasses__():
        yield from _below(below)


def _module(path: Path) -> str:
    return ".".join(("strongroom", *path.relative_to(SOURCE).with_suffix("").parts))


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                    yield target.id, node.value.value


def _positions(tree: ast.Module) -> dict[str, int]:
    """Functions of the file that take a code by its position, and the position."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
            if "code" in names:
                found[node.name] = names.index("code") - (names[0] in {"self", "cls"})
    return found


def _given(node: ast.AST, places: Mapping[str, int]) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            yield from ((name, one.value) for one in node.keywords if one.arg == "code")
            if name in places and len(node.args) > places[name]:
                yield name, node.args[places[name]]
        case ast.ClassDef():
            for line in node.body:
                match line:
                    case (
                        ast.Assign(targets=[ast.Name(id="code")], value=value)
                        | ast.AnnAssign(target=ast.Name(id="code"), value=ast.expr() as value)
                    ):
                        yield node.name, value
        case ast.Assign(targets=[ast.Name(id="code")], value=value):
            yield "", value


def _texts(value: ast.expr, names: Mapping[str, str]) -> Iterator[str]:
    match value:
        case ast.Constant(value=str(text)) if text:
            yield text
        case ast.Name(id=name) if name in names:
            yield names[name]
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body, names)
            yield from _texts(orelse, names)
