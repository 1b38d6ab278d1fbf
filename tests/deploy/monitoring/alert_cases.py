"""For each alert: what Prometheus has read when it fires, and when it does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Series = Mapping[str, str]
"""By the series, its values from the start, one a minute, in promtool's notation."""
DAY_S: Final = 86_400
HOTKEY: Final = 'hotkey="5F",netuid="2"'
OF_HOTKEY: Final = {"hotkey": "5F", "netuid": "2"}
WEIGHING: Final = {f"strongroom_bittensor_sets_weights{{{HOTKEY}}}": "1x3000"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    alert: str
    fires: Series
    quiet: Series
    labels: Mapping[str, str] = field(default_factory=dict)
    value: str = "1"
    """As the summary shows it, where it does."""
    at_min: int = 20
    """So many minutes after the start it fires."""


def _flag(
    alert: str, series: str, labels: Mapping[str, str], *, bad: int = 1, at_min: int = 20, value: str = "1"
) -> Case:
    """An alert that fires while a series has the value `bad`."""
    named = ",".join(f'{name}="{text}"' for name, text in labels.items())
    whole = f"{series}{{{named}}}"
    return Case(
        alert=alert,
        fires={whole: f"{bad}x{at_min + 20}"},
        quiet={whole: f"{1 - bad if bad in {0, 1} else 0}x{at_min + 20}"},
        labels=labels,
        value=value,
        at_min=at_min,
    )


def _grows(alert: str, series: str, labels: Mapping[str, str], *, fast: int = 1, slow: int = 0) -> Case:
    """An alert that fires while a counter grows by `fast` a minute, and not while it grows by `slow`."""
    named = ",".join(f'{name}="{text}"' for name, text in labels.items())
    whole = f"{series}{{{named}}}"
    return Case(alert=alert, fires={whole: f"0+{fast}x60"}, quiet={whole: f"5+{slow}x60"}, labels=labels)


def _hotkey(alert: str, fires: Series, quiet: Series, value: str = "1", at_min: int = 20) -> Case:
    def whole(series: Series) -> Series:
        return {f"strongroom_bittensor_{name}{{{HOTKEY}}}": values for name, values in series.items()}

    return Case(
        alert=alert,
        fires=WEIGHING | dict(whole(fires)),
        quiet=WEIGHING | dict(whole(quiet)),
        labels=OF_HOTKEY,
        value=value,
        at_min=at_min,
    )


ATTO: Final = {"ledger": "atto"}
HERE: Final = {"instance": "a"}
JOB: Final = {"instance": "a", "job": "strongroom"}
_HTTP: Final = 'http_server_requests_seconds_count{ledger="atto",instance="a",outcome='
_LAG: Final = 'strongroom_event_loop_lag_seconds_bucket{instance="a",le='

CASES: Final = (
    _flag("StrongroomDown", "up", JOB, bad=0),
    _flag("StrongroomHealthDown", "strongroom_health_status", {"status": "DOWN", **HERE}),
    _flag("StrongroomNotReady", "strongroom_ready", HERE, bad=0),
    _flag("StrongroomComponentDown", "strongroom_component_up", {"component": "attoNode", **HERE}, bad=0),
    _flag("StrongroomComponentDegraded", "strongroom_component_degraded", {"component": "attoNode", **HERE}),
    _grows("StrongroomWorkFails", "strongroom_work_failures_total", {"work": "attoNode", **HERE}),
    _flag("StrongroomCollectionFails", "strongroom_collection_failed", {"collection": "ledger", **ATTO}),
    _grows("StrongroomInternalErrors", "strongroom_refusals_total", {"code": "internal", **ATTO}),
    Case(
        alert="StrongroomServerErrors",
        fires={f'{_HTTP}"SERVER_ERROR"}}': "0+6x60", f'{_HTTP}"SUCCESS"}}': "0+94x60"},
        quiet={f'{_HTTP}"SERVER_ERROR"}}': "0+4x60", f'{_HTTP}"SUCCESS"}}': "0+96x60"},
        labels={**ATTO, **HERE},
    ),
    Case(
        alert="StrongroomEventLoopBusy",
        fires={f'{_LAG}"1"}}': "0+90x60", f'{_LAG}"2.5"}}': "0+100x60", f'{_LAG}"+Inf"}}': "0+100x60"},
        quiet={f'{_LAG}"1"}}': "0+100x60", f'{_LAG}"2.5"}}': "0+100x60", f'{_LAG}"+Inf"}}': "0+100x60"},
        labels=HERE,
    ),
    _grows(
        "StrongroomConnectionsRefused",
        "strongroom_connections_refused_total",
        {"surface": "atto", "reason": "peer", **HERE},
        fast=5,
        slow=2,
    ),
    Case(
        alert="StrongroomFilesRunOut",
        fires={
            'process_open_fds{instance="a",job="strongroom"}': "81x60",
            'process_max_fds{instance="a",job="strongroom"}': "100x60",
        },
        quiet={
            'process_open_fds{instance="a",job="strongroom"}': "80x60",
            'process_max_fds{instance="a",job="strongroom"}': "100x60",
        },
        labels=JOB,
    ),
    Case(
        alert="StrongroomCertificateExpires",
        fires={'strongroom_tls_certificate_expiry_timestamp_seconds{surface="atto"}': f"{13 * DAY_S}x90"},
        quiet={'strongroom_tls_certificate_expiry_timestamp_seconds{surface="atto"}': f"{15 * DAY_S}x90"},
        labels={"surface": "atto"},
        at_min=61,
    ),
    _grows("StrongroomAuthenticationBurst", "strongroom_authentication_bursts_total", ATTO),
    _flag("StrongroomDatabaseWaits", "strongroom_database_pool_waiting", {"pool": "write", **ATTO}),
    _flag("StrongroomLeaseFree", "strongroom_lease_taken", {"lease": "atto.workers", **ATTO}, bad=0),
    _flag("StrongroomPaymentsStuck", "strongroom_payments_stuck", ATTO, bad=3, value="3"),
    _flag("StrongroomPaymentOpenForAnHour", "strongroom_payments_oldest_open_age_seconds", ATTO, bad=3601),
    _flag("StrongroomApprovalsWaiting", "strongroom_approvals_waiting", ATTO, bad=2, at_min=61, value="2"),
    _flag("StrongroomFrozen", "strongroom_freezes", {"scope": "wallet", **ATTO}, at_min=61),
    _grows(
        "StrongroomRulesRefuse",
        "strongroom_rule_refusals_total",
        {"reason": "rule_limit", "rule": "daily", **ATTO},
    ),
    _flag("StrongroomSealed", "strongroom_sealed", {**ATTO, **HERE}),
    _flag("StrongroomKeyRotationUnfinished", "strongroom_key_versions_replaced", ATTO, at_min=1441),
    Case(
        alert="StrongroomKeyOld",
        fires={'strongroom_key_created_timestamp_seconds{ledger="atto"}': f"-{401 * DAY_S}x90"},
        quiet={'strongroom_key_created_timestamp_seconds{ledger="atto"}': f"-{399 * DAY_S}x90"},
        labels=ATTO,
        at_min=61,
    ),
    Case(
        alert="StrongroomTokensExpire",
        fires={'strongroom_tokens_expiring{ledger="atto",days="7"}': "2x90"},
        quiet={
            'strongroom_tokens_expiring{ledger="atto",days="7"}': "0x90",
            'strongroom_tokens_expiring{ledger="atto",days="14"}': "2x90",
        },
        labels=ATTO,
        value="2",
        at_min=61,
    ),
    Case(
        alert="StrongroomCheckpointOld",
        fires={'strongroom_audit_checkpoint_timestamp_seconds{ledger="atto"}': f"-{3 * 3600}x60"},
        quiet={'strongroom_audit_checkpoint_timestamp_seconds{ledger="atto"}': "-7200+60x60"},
        labels=ATTO,
    ),
    _flag(
        "StrongroomOutboxWaits",
        "strongroom_outbox_oldest_age_seconds",
        {"destination": "atto.callback", **ATTO},
        bad=901,
    ),
    _flag(
        "StrongroomWebhookFails", "strongroom_webhook_failing_seconds", {"endpoint": "w1", **ATTO}, bad=601
    ),
    _flag(
        "StrongroomWebhookEventsDead",
        "strongroom_webhook_dead",
        {"endpoint": "w1", **ATTO},
        bad=4,
        value="4",
    ),
    _flag("StrongroomNodeAway", "strongroom_node_up", {**ATTO, **HERE}, bad=0),
    _flag(
        "StrongroomNodeStandsStill",
        "strongroom_node_height_age_seconds",
        {"of": "best", "ledger": "hathor"},
        bad=901,
    ),
    _flag("StrongroomHathorSyncBehind", "strongroom_hathor_sync_lag_seconds", {}, bad=121),
    _grows("StrongroomHathorEventRefused", "strongroom_hathor_sync_refused_events_total", HERE),
    _hotkey(
        "StrongroomBittensorWeightsOld",
        {"blocks_since_weights": "4001x60", "activity_cutoff_blocks": "5000x60"},
        {"blocks_since_weights": "3999x60", "activity_cutoff_blocks": "5000x60"},
        value="4001",
    ),
    _flag("StrongroomBittensorUidLost", "strongroom_bittensor_registered", OF_HOTKEY, bad=0),
    _hotkey("StrongroomBittensorPermitLost", {"validator_permit": "0x60"}, {"validator_permit": "1x60"}),
    _hotkey(
        "StrongroomBittensorStakeLow",
        {"stake_rao": "999x60", "stake_threshold_rao": "1000x60"},
        {"stake_rao": "1000x60", "stake_threshold_rao": "1000x60"},
    ),
    _hotkey(
        "StrongroomBittensorCommitUnrevealed",
        {"commit_blocks_left": "89x60", "tempo_blocks": "360x60"},
        {"commit_blocks_left": "90x60", "tempo_blocks": "360x60"},
        value="89",
    ),
    _hotkey(
        "StrongroomBittensorCommitMissed", {"commit_blocks_left": "-1x60"}, {"commit_blocks_left": "0x60"}
    ),
    _flag(
        "StrongroomBittensorHotkeysUnwatched",
        "strongroom_bittensor_hotkeys_unwatched",
        {},
        bad=5,
        at_min=61,
        value="5",
    ),
)
