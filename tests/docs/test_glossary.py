"""The glossary names what there is, and words that it replaced do not come back as names in the source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
HOUSE = SOURCE / "strongroom"
ENTRY = re.compile(r"^\| [^|]+ \| [^|]+ \| `([\w.]+)` \|$", re.MULTILINE)

REPLACED = {
    "NodeBabbles": "InvalidNodeResponse",
    "NodeDishonest": "InvalidNodeResponse",
    "ChainDishonest": "InvalidNodeResponse",
    "Told": "OutboxRecord",
    "Tail": "OutboxReader",
    "Buckets": "RateLimiter",
    "Limits": "Deadlines, TokenLimits or ConnectionLimits",
    "Working": "BatchState",
    "work_out": "compute_effects",
    "Held": "LockedUtxo",
    "Waiting": "PendingReceivable",
    "WorkDesk": "WorkCache",
    "ProgressBoard": "ScanProgress",
    "LentSignatures": "RemoteSigning",
    "ChainPin": "GenesisPin",
    "Asked": "Request",
    "Foreign": "ProxiedResponse",
    "Measures": "SyncMetrics",
    "News": "NewTransaction",
    "Answers": "JobResults",
    "Outcomes": "OutcomeWaiter",
    "Place": "HistoryCursor, BlockPosition or CacheKey",
    "_Sight": "SigningContext",
    "EntryWriter": "StoreAndAnnounce",
    "write_entries": "store_and_announce",
    "wind_down": "drain",
    "committed": "wake_delivery",
    "effect_of": "reach_of",
    "welcome": "seed_wallets",
    "Turn": "LoopContext",
}
"""Names of classes, functions and modules alone: a variable may have any name that its function makes clear."""
REPLACED_MODULES = {"joi", "diary", "newcomers", "bodies", "measures", "holds", "chain_pin"}
REPLACED_CONSTANT = re.compile(r"_?(MOST|LARGEST|LONGEST|HIGHEST)(_(?!FIRST$)[A-Z0-9_]+)?")


def modules() -> Iterator[Path]:
    return SOURCE.rglob("*.py")


def defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name


def definitions(path: Path) -> set[str]:
    """The names of classes, functions and constants that a file defines."""
    names = set(defined(ast.parse(path.read_text())))
    return {name for name in names if not name.islower()} | {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def exists(dotted: str) -> bool:
    """Whether it is a module or package below `strongroom`, or a name that one of them defines."""
    path = HOUSE.joinpath(*dotted.split("."))
    if path.with_suffix(".py").is_file() or path.is_dir():
        return True
    owner, name = path.parent, path.name
    file = owner.with_suffix(".py") if owner.with_suffix(".py").is_file() else owner / "__init__.py"
    return file.is_file() and name in definitions(file)


def test_every_entry_of_the_glossary_exists() -> None:
    entries = ENTRY.findall((ROOT / "docs" / "glossary.md").read_text())
    assert len(entries) > 60
    assert [entry for entry in entries if not exists(entry)] == []


def test_replaced_words_do_not_come_back() -> None:
    found = {
        f"{path.relative_to(SOURCE)}: {name}"
        for path in modules()
        for name in definitions(path)
        if name in REPLACED or REPLACED_CONSTANT.fullmatch(name)
    }
    assert found == set()


def test_replaced_modules_do_not_come_back() -> None:
    assert [str(path.relative_to(SOURCE)) for path in modules() if path.stem in REPLACED_MODULES] == []
