"""The variables of rules."""

from dataclasses import dataclass
from typing import Final

from strongroom.core.environment import Environment
from strongroom.core.guard.approvals.changes import ChangeApprovals
from strongroom.core.guard.guard import Default
from strongroom.core.guard.rule import MAX_APPROVALS

DEFAULT_VARIABLE: Final = "STRONGROOM_DEFAULT_POLICY"
DELAY_VARIABLE: Final = "STRONGROOM_POLICY_DELAY_SECONDS"
MAX_DELAY_S: Final = 30 * 86_400
APPROVAL_VARIABLE: Final = "STRONGROOM_APPROVAL_SECONDS"
CHANGES_VARIABLE: Final = "STRONGROOM_POLICY_APPROVALS"
DAY_S: Final = 86_400
MAX_APPROVAL_S: Final = 30 * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    default: Default = Default.ALLOW
    loosening_delay_ms: int = 0
    approval_lifetime_ms: int = DAY_S * 1000
    """How long a request waits for approvals."""
    change_approvals: int = 0
    """How many others must approve a change that loosens."""

    @property
    def changes(self) -> ChangeApprovals:
        return ChangeApprovals(needed=self.change_approvals, lifetime_ms=self.approval_lifetime_ms)


def read_guard_settings(environment: Environment) -> GuardSettings:
    known = ", ".join(Default)
    text = environment.text(DEFAULT_VARIABLE, Default.ALLOW.value)
    if text not in {*Default}:
        environment.mistake(f"{DEFAULT_VARIABLE} is one of {known}, not {text!r}")
        text = Default.ALLOW.value
    delay_s = environment.integer(DELAY_VARIABLE, 0, high=MAX_DELAY_S)
    lifetime_s = environment.integer(APPROVAL_VARIABLE, DAY_S, low=1, high=MAX_APPROVAL_S)
    return GuardSettings(
        default=Default(text),
        loosening_delay_ms=delay_s * 1000,
        approval_lifetime_ms=lifetime_s * 1000,
        change_approvals=environment.integer(CHANGES_VARIABLE, 0, high=MAX_APPROVALS),
    )
