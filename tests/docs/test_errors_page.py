"""docs/errors.md has of every error code the status that its surface answers, and commands that there are."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import typer

from strongroom.admin.api.errors import OF_ADMIN
from strongroom.atto.api.errors import STATUSES as OF_ATTO
from strongroom.bittensor.api.errors import STATUSES as OF_BITTENSOR
from strongroom.cli import application
from strongroom.commands.about.explain import chapters, page
from strongroom.core.errors import StrongroomError
from strongroom.core.http.connections.admission import Reason
from strongroom.core.http.connections.refusals import WORDS
from strongroom.core.http.errors import STATUSES
from support.error_codes import SOURCE, classes, find_codes

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
OF_LEDGERS = {"atto": OF_ATTO, "bittensor": OF_BITTENSOR, "admin": OF_ADMIN}
REFUSED = re.compile(r'(?:Refusal|_named)\((\d{3}), "([a-z-]+)"')
NEVER_ANSWERED = {
    ("wrong_network", "atto/transactions/reconciliation.py"),  # of `strongroom atto reconcile`
    ("weights_in_flight", "bittensor/calls/approved.py"),  # of a request that is carried out later
}
COMMAND = re.compile(r"`strongroom ((?:[a-z]+ ?)+)")
STATED = {
    code: [(c.title, c.codes[code]) for c in chapters() if code in c.codes]
    for c in chapters()
    for code in c.codes
}


def test_nothing_is_explained_that_is_not_there() -> None:
    files = [path for path in SOURCE.rglob("*.py") if "advice" not in path.relative_to(SOURCE).as_posix()]
    text = "".join(path.read_text() for path in files)
    framework = {"bad_request", "not_found", "method_not_allowed", "request_entity_too_large"}
    there = framework | {reason.value for reason in Reason}
    assert sorted(code for code in STATED if f'"{code}"' not in text and code not in there) == []


def test_the_status_is_the_one_that_the_surface_answers() -> None:
    """Of errors whose class says it. A code without a status reaches no surface."""
    kinds = classes()
    wrong = []
    for code, name, file in find_codes():
        room = file.partition("/")[0]
        if name not in kinds or room == "hathor" or (code, file) in NEVER_ANSWERED:
            continue
        own = [kind for kind in kinds[name] if kind.__module__.startswith(f"strongroom.{room}.")]
        status = status_of_class((own or kinds[name])[0], room)
        if not {advice.status for _, advice in STATED[code]} & {status, 0}:
            wrong.append((code, file, status))
    assert not wrong, wrong


def status_of_class(kind: type[StrongroomError], room: str) -> int:
    statuses: Mapping[type, int] = OF_LEDGERS.get(room, STATUSES)
    return next(statuses[above] for above in kind.__mro__ if above in statuses)


def test_the_words_of_hathor_have_their_status() -> None:
    """`wallet-not-found` is 404 and on some routes 400, as in the original."""
    text = "".join(path.read_text() for path in (SOURCE / "hathor" / "api").rglob("*.py"))
    found = {(word, int(status)) for status, word in REFUSED.findall(text)}
    assert len(found) > 20
    stated = {(code, advice.status) for code, all_ in STATED.items() for _, advice in all_}
    assert found - stated == {("wallet-not-found", 400)}


def test_refused_connections_have_their_status() -> None:
    for reason, (status, _) in WORDS.items():
        assert STATED[reason.value][0][1].status == status, reason


@pytest.mark.parametrize("command", sorted(set(COMMAND.findall(page()))))
def test_every_command_that_helps_exists(command: str) -> None:
    group = typer.main.get_command(application)
    context = typer.Context(group)
    for word in command.split():
        assert hasattr(group, "get_command"), command
        group = group.get_command(context, word)
        assert group is not None, command


def test_each_row_is_two_sentences() -> None:
    for chapter in chapters():
        for code, advice in chapter.codes.items():
            assert advice.meaning.endswith("."), code
            assert advice.help.endswith((".", "?")), code
            assert "|" not in advice.meaning + advice.help, code
