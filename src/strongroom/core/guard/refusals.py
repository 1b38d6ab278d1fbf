"""Counts what the policy refuses, by reason and rule."""

from typing import Final

from strongroom.core.errors import Forbidden
from strongroom.core.runtime.telemetry import Metrics

MAX_RULES: Final = 100
"""Operators may make and remove rules for years; what goes beyond this is counted together."""
OTHERS: Final = "other"


class Refusals:
    """The refusals of one ledger."""

    def __init__(self, ledger: str, metrics: Metrics) -> None:
        self._ledger = ledger
        self._count = metrics.rule_refusals
        self._rules: set[str] = set()

    def count(self, error: Forbidden) -> None:
        self._count.labels(self._ledger, error.instance_code, self._known(error.rule or "")).inc()

    def _known(self, rule: str) -> str:
        if not rule or rule in self._rules:
            return rule
        if len(self._rules) >= MAX_RULES:
            return OTHERS
        self._rules.add(rule)
        return rule
