"""docs/configuration.md: every variable by subject, from the code that reads them and the sentences beside it."""

from collections.abc import Iterator
from dataclasses import dataclass

from strongroom.core.described import FILE_ENDING, Subject
from strongroom.settings import OBSOLETE, OWN_FAMILIES, how_read, known_names, subjects

COMMAND = ".venv/bin/strongroom config --markdown > docs/configuration.md"
NOTHING = "none"
TEXT = "text"
HEAD = f"""# Configuration

Every variable of the service, by subject. The service reads them once, at its start, and reports all mistakes at once, each with the
variable's name: a value out of its range, a required one that is missing, a misspelt name. An empty value counts as not set.

- `strongroom config` shows what is set in your environment, where each value comes from, and every mistake; `--all` adds the
  defaults, `--json` is for programs. It shows no secret and changes nothing. `strongroom doctor` checks what the values lead to.
- **secret**: no log, error or metric shows it. Where `_FILE` stands too, `<NAME>_FILE` may name a file with the value; set one of both.
- **original**: the program that the ledger replaces has a variable of this name, so its environment can be used as it is.
- A misspelt name stops the start: one that begins as the variables of this service alone do ({{families}}), and one that is a letter
  away from a variable of another family (`DB_`, `REDIS_`, ...). Variables that Kubernetes sets for Services
  (`MANAGEMENT_PORT=tcp://...`) count as not set.

This page is made from the code, with `{COMMAND}`.
"""
COLUMNS = "| variable | what it does | default | values | |\n|---|---|---|---|---|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One variable: its sentence, and what the code that reads it says."""

    name: str
    meaning: str
    default: str
    values: str
    is_secret: bool
    has_file: bool
    is_original: bool

    @property
    def cells(self) -> str:
        marks = [
            "secret" * self.is_secret,
            f"`{FILE_ENDING}`" * self.has_file,
            "original" * self.is_original,
        ]
        cells = (self.meaning, self.default, self.values, ", ".join(filter(None, marks)))
        return " | ".join(cell.replace("|", "\\|") for cell in cells)


def explained() -> Iterator[tuple[Subject, bool, Explained]]:
    """Each variable with its subject, and whether most installations set it."""
    reads, known = how_read(), known_names()
    for subject in subjects():
        for name, variable in subject.variables.items():
            read = reads.get(name)
            is_secret = variable.is_secret or (read is not None and read.is_secret)
            default, values = (None, "") if read is None else (read.default, read.values)
            yield (
                subject,
                variable.comes_first,
                Explained(
                    name=name,
                    meaning=variable.meaning,
                    default=variable.default or default or NOTHING,
                    values=variable.values or values or TEXT,
                    is_secret=is_secret,
                    has_file=f"{name}{FILE_ENDING}" in known,
                    is_original=variable.is_original,
                ),
            )


def page() -> str:
    """The whole page, in Markdown."""
    found = list(explained())
    families = ", ".join(f"`{family}_`" for family in OWN_FAMILIES)
    parts = [HEAD.format(families=families), "## The ones that matter first\n", COLUMNS]
    parts += [row([one.name], one) for _, is_first, one in found if is_first]
    for subject in subjects():
        parts.append(f"\n## {subject.title}\n")
        if subject.page:
            parts.append(f"See [{subject.page.partition('#')[0]}]({subject.page}).\n")
        parts.append(COLUMNS)
        parts += _rows([one for of, _, one in found if of is subject])
    parts.append("\n## Names of other programs\n")
    parts.append("The service refuses these names and says what replaced them.\n")
    parts.append("| name | what to set |\n|---|---|")
    parts += [f"| `{name}` | {_as_code(ours)} |" for name, ours in sorted(OBSOLETE.items())]
    return "\n".join(parts) + "\n"


def _rows(variables: list[Explained]) -> Iterator[str]:
    """A row for each variable; those that differ in nothing but their name, as of several surfaces, share one."""
    together: dict[str, list[Explained]] = {}
    for one in variables:
        together.setdefault(one.cells, []).append(one)
    for same in together.values():
        yield row([one.name for one in same], same[0])


def row(names: list[str], one: Explained) -> str:
    return f"| {', '.join(f'`{name}`' for name in names)} | {one.cells} |"


def _as_code(names: str) -> str:
    return " ".join(
        f"`{word.rstrip(',')}`{',' * word.endswith(',')}" if word.isupper() else word
        for word in names.strip().removesuffix(",").split()
    )
