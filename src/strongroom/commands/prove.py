"""`strongroom policy prove`: whether more than an amount can leave a wallet within a stretch of time."""

import asyncio
import importlib.util
import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from strongroom.commands.context import Administrator, named_ledger
from strongroom.core.clock import SystemClock, iso_instant
from strongroom.core.guard.evaluation import ActiveRule
from strongroom.core.guard.guard import Default
from strongroom.core.guard.parsing import is_amount
from strongroom.core.guard.proof.courses import shown
from strongroom.core.guard.state import load_rules
from strongroom.core.guard.vocabulary import Vocabulary
from strongroom.core.security.policy import SignatureRequest
from strongroom.registry import LEDGERS

NAMES = " or ".join(one.name for one in LEDGERS)
STATUS = {"no": 0, "yes": 1, "unknown": 3}
MISSING = "strongroom: policy prove needs z3: pip install 'strongroom[prove]'"


def prove(
    wallet: Annotated[str, typer.Option(help="Name of the wallet.")],
    more_than: Annotated[str, typer.Option(help="The amount, in the ledger's smallest unit.")],
    ledger: Annotated[str, typer.Option("--ledger", help=f"Whose rules: {NAMES}.")] = LEDGERS[0].name,
    seconds: Annotated[int, typer.Option(help="Length of the stretch of time; a day.")] = 86_400,
    asset: Annotated[str, typer.Option(help="Id of a token; without it the ledger's own coin.")] = "",
    without_approvals: Annotated[
        bool, typer.Option("--without-approvals", help="As if people approved nothing, not everything.")
    ] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also where no wallet has this name.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say whether more than an amount can leave a wallet. Status 0 for no, 1 for yes, 3 for unknown."""
    if importlib.util.find_spec("z3") is None:
        typer.echo(MISSING, err=True)
        raise typer.Exit(2)
    from strongroom.core.guard.proof import question as questions  # noqa: PLC0415 - it needs z3, which few have

    definition = named_ledger(ledger, [*LEDGERS])
    vocabulary: Vocabulary = definition.vocabulary()
    if not is_amount(more_than):
        raise typer.BadParameter("--more-than is a whole number from 0 to 2^256-1")
    if asset and not re.fullmatch(vocabulary.asset_form, asset):
        raise typer.BadParameter(f"--asset {asset!r} is no asset of this ledger")

    async def work() -> tuple[Sequence[ActiveRule], Default]:
        async with Administrator().prepared(definition) as running:
            if not anyway and await running.has_wallet(wallet) is False:
                raise typer.BadParameter(f"{ledger} has no wallet {wallet!r}; --anyway asks all the same")
            now_ms = SystemClock().now_ms()
            rules = await running.database.read(
                lambda connection: load_rules(connection, running.trail_key, now_ms)
            )
            return rules, running.guard.default

    rules, default = asyncio.run(work())
    question = questions.Question(
        wallet=wallet,
        more_than=int(more_than),
        seconds=seconds,
        asset=asset,
        with_approvals=not without_approvals,
    )
    proof = questions.prove(rules, default, vocabulary, question, SystemClock().now_ms())
    steps = [_step(step.at_ms, step.request) for step in proof.steps]
    if as_json:
        found = {"answer": proof.answer.value, "why": proof.why, "signatures": proof.signatures}
        typer.echo(json.dumps({**found, "example": steps}))
    else:
        typer.echo(f"{proof.answer.value}: {proof.why}")
        for step in steps:
            typer.echo("  " + ", ".join(f"{name} {value}" for name, value in step.items()))
    raise typer.Exit(STATUS[proof.answer.value])


def _step(at_ms: int, request: SignatureRequest) -> dict[str, Any]:
    facts = {name: value for name, value in request.facts.items() if value is not None}
    step = {
        "at": iso_instant(at_ms),
        "by": shown(request.principal.name),
        "kind": shown(request.kind),
        "amountRaw": str(request.amount_raw) if request.is_amount_known else "unknown",
        "to": None if request.destination is None else shown(request.destination),
        "account": shown(request.account),
        "source": request.principal.source,
        **{name: shown(str(value)) for name, value in facts.items()},
    }
    return {name: value for name, value in step.items() if value}
