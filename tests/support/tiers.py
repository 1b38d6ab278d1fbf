"""Which cases of a test for both engines are in the slow tier, where the further engine proves nothing new.

A file that is named here runs on one engine in `scripts/test`, and on the other in `scripts/test-slow`. The statements that it runs
are proved on both engines elsewhere: `tests/core/storage`, `tests/core/coordination` and `tests/core/intents` are never named here,
nor are the tests of concurrency, of recovery after a crash and of every statement.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

OTHER = {"sqlite": "mariadb", "mariadb": "sqlite"}

ON_SQLITE = {
    "what a caller may do, and what a request is answered": (
        "atto/api/test_access.py",
        "atto/api/test_accounts.py",
        "atto/api/test_documentation.py",
        "atto/api/test_transactions.py",
        "atto/api/test_wallets.py",
        "bittensor/api/test_door.py",
        "bittensor/api/test_wallet.py",
        "bittensor/authorization/test_authentication.py",
        "bittensor/calls/test_service.py",
        "core/security/test_delegation.py",
        "core/security/test_tokens.py",
        "core/security/test_certificates.py",
        "core/security/test_authentication.py",
        "hathor/api/first_api/test_first_api.py",
        "hathor/api/live/test_sockets.py",
        "hathor/api/test_access.py",
        "hathor/api/test_edges.py",
        "hathor/api/test_openapi.py",
    ),
    "what the node says, or does not": (
        "atto/following/test_node_network.py",
        "atto/receiving/test_receivable_check.py",
        "atto/test_account_faults.py",
        "atto/test_health.py",
        "atto/test_lying_node.py",
        "atto/transactions/test_work_search.py",
        "bittensor/weights/test_weights_again.py",
        "hathor/maintenance/test_verifier.py",
        "hathor/proposals/test_broadcast_policy.py",
        "hathor/proposals/test_sent.py",
        "hathor/proposals/test_submitter.py",
        "hathor/sync/test_daemon.py",
        "hathor/sync/test_recorded.py",
        "hathor/wallets/test_loading.py",
    ),
    "what an endpoint or a listener gets": (
        "atto/history/test_callbacks.py",
        "core/webhooks/test_administration.py",
        "core/webhooks/test_audited.py",
        "core/webhooks/test_delivery.py",
        "core/webhooks/test_hostile.py",
        "hathor/notifications/test_push.py",
    ),
    "which keys are open, and what they open": (
        "atto/wallets/test_bound_wallets.py",
        "atto/wallets/test_exports.py",
        "atto/wallets/test_key_encryption_key.py",
        "atto/wallets/test_lost_key.py",
        "atto/wallets/test_own_keys.py",
        "atto/wallets/test_seal.py",
        "bittensor/keystore/test_bound_keys.py",
        "bittensor/keystore/test_lost_key.py",
        "core/security/custody/test_rotation.py",
        "core/security/custody/test_seal.py",
        "core/security/custody/test_turned_back.py",
    ),
    "what was changed past the service": (
        "atto/test_audit_trail.py",
        "core/guard/rows/test_altered_rows.py",
        "core/security/test_bindings.py",
        "core/transparency/test_inspection.py",
        "core/transparency/test_old_rows.py",
        "core/transparency/test_pieces.py",
        "core/transparency/test_proving.py",
        "core/transparency/test_restart.py",
        "core/transparency/test_verification.py",
    ),
    "what a rule says": (
        "atto/test_approvals.py",
        "atto/test_guard.py",
        "core/guard/test_approvals_apart.py",
        "core/guard/test_change_approvals.py",
        "core/guard/test_makers.py",
    ),
    "whole clients and whole processes": (
        "canaries/test_everywhere.py",
        "crash/test_kill.py",
        "judges/atto/test_js_same_seed.py",
        "judges/atto/test_js_service.py",
    ),
}
"""Files by what they prove, which does not depend on the engine."""

ON_MARIADB = {
    "a dead process leaves its connection and its locks behind": (
        "crash/test_crash_points.py",
        "crash/test_webhooks.py",
    ),
    "odd text and large numbers": ("atto/api/test_fuzz.py",),
}
"""Files whose danger is greater on a server."""


def divide(items: Sequence[pytest.Item], tests: Path) -> None:
    """Marks as slow what the tables above leave to the slow tier; a case without a twin stays where it is."""
    engines = _engines(tests)
    ids = {item.nodeid for item in items}
    for item in items:
        engine = engines.get(item.path)
        if engine is None:
            continue
        function, bracket, parameters = item.nodeid.partition("[")
        twin = function + bracket + parameters.replace(OTHER[engine], engine)
        if twin != item.nodeid and twin in ids:
            item.add_marker(pytest.mark.slow)


def _engines(tests: Path) -> Mapping[Path, str]:
    """The engine of each file that is named."""
    engines: dict[Path, str] = {}
    for engine, table in (("sqlite", ON_SQLITE), ("mariadb", ON_MARIADB)):
        for files in table.values():
            for file in files:
                path = tests / file
                if path in engines or not path.is_file():
                    raise pytest.UsageError(
                        f"tests/support/tiers.py names {file}, which is not there, or twice"
                    )
                engines[path] = engine
    return engines
