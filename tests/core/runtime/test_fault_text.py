"""What anybody may read of an error."""

import socket
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from strongroom.core.errors import Unavailable
from strongroom.core.runtime.fault_text import fault_text


def disk_full() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full: /data/atto.db")
    error.sqlite_errorname = "SQLITE_FULL"
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Unavailable("The node answers 502 to /event"), "The node answers 502 to /event"),
        (Unavailable("no answer of http://u:p@node.internal/v1a"), "no answer of [address]"),
        (ValueError("Event 17 (NEW) is not understood"), "ValueError: Event 17 (NEW) is not understood"),
        (KeyError("nonce"), "KeyError: 'nonce'"),
        (RuntimeError(), "RuntimeError"),
        (ConnectionRefusedError(111, "Connection refused"), "ConnectionRefusedError: Connection refused"),
        (OSError(111, "Connect call failed ('10.0.0.3', 3306)"), "ConnectionRefusedError"),
        (OSError(28, "No space left on device"), "OSError: No space left on device"),
        (socket.gaierror(-2, "Name or service not known"), "gaierror: Name or service not known"),
        (OperationalError("INSERT", None, Exception(1062, "Duplicate 'x'")), "OperationalError, number 1062"),
        (OperationalError("INSERT", None, Exception("disk I/O error at row 7")), "OperationalError"),
        (RuntimeError("cannot reach db.internal:3306"), "RuntimeError: cannot reach [address]"),
        (
            RuntimeError("10.1.2.3 and [fd00::1]:80 are away"),
            "RuntimeError: [address] and [address] are away",
        ),
        (RuntimeError("the password is hunter2"), "RuntimeError"),
        (ValueError(f"not a point: {'ab' * 32}"), "ValueError: not a point: [redacted]"),
        (RuntimeError("two\nlines"), "RuntimeError: two lines"),
        (ExceptionGroup("unhandled errors", [Unavailable("the first")]), "the first"),
        (OperationalError("INSERT", None, disk_full()), "OperationalError, SQLITE_FULL"),
        (RuntimeError("at 12:30:05 it was late"), "RuntimeError: at 12:30:05 it was late"),
    ],
)
def test_an_errors_text_has_no_secrets_and_no_addresses(error: Exception, text: str) -> None:
    assert fault_text(error) == text


def test_an_error_without_end_is_cut() -> None:
    text = fault_text(ValueError("x" * 100_000))
    assert len(text) == 300
    assert text.endswith("…")
