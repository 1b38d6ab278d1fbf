"""Rules: list, add, remove, and ask what would be decided."""

from typing import Annotated

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath, FromQuery

from strongroom.admin.api import access
from strongroom.admin.api.wire import DecisionView, RuleView, decision_view, rule_view
from strongroom.admin.estate import Estate
from strongroom.core.errors import NotFound
from strongroom.core.guard.dry_run import Question
from strongroom.core.guard.rule import Rule, encode_rule
from strongroom.core.http.route_access import needs
from strongroom.core.security.access import Principal


class NewRule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    name: str
    rule: Rule
    """As in docs/guard.md."""


class RulesController(Controller):
    path = "/admin/v1/ledgers/{ledger:str}/rules"
    tags = ("Rules",)

    @get(summary="List rules", opt=needs(access.READ) | {"query": ("history",)})
    async def list_rules(
        self,
        ledger: FromPath[str],
        estate: NamedDependency[Estate],
        history: FromQuery[bool] = False,
    ) -> list[RuleView]:
        """In the order in which they were added. With `history` those that count no more, too."""
        found = await estate.find(ledger).rules.rules(ended=history)
        return [rule_view(one, estate.now_ms) for one in found]

    @post(status_code=201, summary="Add a rule", opt=needs(access.RULES))
    async def add(
        self,
        ledger: FromPath[str],
        data: Annotated[NewRule, Body()],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> RuleView:
        """A rule that denies counts at once, one that allows after the delay. A name is used once, so a repetition gets 409."""
        added = await estate.find(ledger).rules.add(caller, data.name, encode_rule(data.rule))
        return rule_view(added, estate.now_ms)

    @delete("/{rule:str}", status_code=200, summary="Remove a rule", opt=needs(access.RULES))
    async def remove(
        self,
        ledger: FromPath[str],
        rule: FromPath[str],
        estate: NamedDependency[Estate],
        caller: NamedDependency[Principal],
    ) -> RuleView:
        """By its id. A rule that allows ends at once, one that denies after the delay."""
        rules = estate.find(ledger).rules
        found = next((one for one in await rules.rules() if one.id == rule), None)
        if found is None:
            raise NotFound(f"No rule that counts has the id {rule[:40]!r}", code="rule_not_found")
        return rule_view(await rules.remove(caller, found.name, found.id), estate.now_ms)

    @post("/test", status_code=200, summary="Ask what would be decided", opt=needs(access.READ))
    async def test(
        self, ledger: FromPath[str], data: Annotated[Question, Body()], estate: NamedDependency[Estate]
    ) -> DecisionView:
        """What would be decided now about a signature, by which rule and why. Nothing is counted, signed or recorded."""
        return decision_view(await estate.find(ledger).dry_run.decide(data))
