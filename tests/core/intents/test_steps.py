"""What the log and traces say of a payment that the ledger has."""

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from strongroom.core.intents.execution import Execution, ExecutionState
from strongroom.core.intents.intent import Intent, Outcome
from strongroom.core.intents.steps import log_accepted
from strongroom.core.runtime.traces import TraceContext, collect

FINAL = Intent(
    id=bytes(32),
    account="alice",
    slot=None,
    kind="PAY",
    payload=b"",
    principal="token:shop",
    request="{}",
    stage="final",
    outcome=Outcome.ACCEPTED,
    request_id="order-1",
    created_at_ms=1_000,
)


class Span:
    id = 1

    def __init__(self, ended: list[tuple[str, bool]]) -> None:
        self._ended = ended

    def end(self, name: str, attributes: object, *, failed: bool = False) -> None:
        del attributes
        self._ended.append((name, failed))


class Spans:
    """Spans of this process, and whether each failed."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, bool]] = []

    def begin(self, name: str, within: TraceContext, *, at_ms: int | None = None) -> Any:
        del name, within, at_ms
        return Span(self.ended)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def spans() -> Iterator[Spans]:
    spans = Spans()
    collect(spans)
    yield spans
    collect(None)


@pytest.mark.parametrize(
    ("execution", "level", "step", "is_failed"),
    [
        (None, "info", "payment confirmed", False),
        (Execution(state=ExecutionState.SUCCEEDED), "info", "payment confirmed", False),
        (Execution(state=ExecutionState.FAILED, reason="no money"), "warning", "payment failed", True),
        (Execution(state=ExecutionState.UNKNOWN, reason="gone"), "warning", "payment unverified", False),
    ],
)
def test_only_what_had_its_effect_is_confirmed(
    spans: Spans, execution: Execution | None, level: str, step: str, is_failed: bool
) -> None:
    with capture_logs() as logs:
        log_accepted("toy", FINAL, execution)
    (line,) = logs
    assert (line["log_level"], line["event"], line["stage"]) == (level, step, "final")
    assert line.get("reason") == (None if execution is None else execution.reason)
    assert spans.ended == [(step, is_failed)]
