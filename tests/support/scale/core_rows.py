"""The core's tables as a service that has run for long leaves them: intents, outbox, webhooks, keys of requests, tokens, windows."""

import hashlib
import json
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.sql.schema import Table

from strongroom.core.intents.tables import intent
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.trail.rows import Content, End, head_tag, keys_of, row_hash
from strongroom.core.storage import tables
from strongroom.core.storage.statements import Values, upsert_rows
from strongroom.core.webhooks.tables import event, webhook

BORN_MS: Final = 1_700_000_000_000
RARE: Final = "rare"
"""A few of the oldest payments have this principal, token, rule, kind, wallet and account, and no later one has."""
RARE_PAYMENTS: Final = 5
OPEN_PAYMENTS: Final = 10
WAITING: Final = 50
LANES: Final = 16
PRINCIPALS: Final = 10
PER_WALLET: Final = 20
ENDPOINT: Final = "endpoint-1"


def put(connection: Connection, table: Table, columns: str, rows: Iterable[Values]) -> None:
    """Inserts rows; `columns` are their names, with spaces between them."""
    names = columns.split()
    upsert_rows(connection, table, names, rows, names[-1:])


def digest(*parts: object) -> bytes:
    """32 bytes that sort at random, as hashes do."""
    return hashlib.sha256(repr(parts).encode()).digest()


def load_payments(connection: Connection, count: int) -> None:
    """`count` signed payments a second apart. The newest are open, a fiftieth is rejected, and the oldest are `RARE`."""
    put(
        connection,
        intent,
        "id account slot kind payload principal request stage outcome attempts created_at_ms resolved_at_ms"
        " wallet token rule request_id client_key",
        (_payment(number, count) for number in range(count)),
    )


def payment_id(number: int) -> bytes:
    return digest("payment", number)


def _payment(number: int, count: int) -> Values:
    is_rare, is_open = number < RARE_PAYMENTS, number >= count - OPEN_PAYMENTS
    is_rejected = not is_open and number % 50 == 49
    at_ms, caller = BORN_MS + 1000 * number, f"caller-{number % PRINCIPALS}"
    said = {"amountRaw": str(10**9 + number), "destination": f"destination-{number:040d}"}
    return (
        payment_id(number),
        RARE if is_rare else account(number // PER_WALLET),
        None if is_rejected else digest("slot", number) + digest("place", number),
        RARE if is_rare else ("SEND", "SEND", "RECEIVE")[number % 3],
        digest("payload", number) * 8,
        f"token:{RARE if is_rare else caller}",
        json.dumps({**said, "hash": payment_id(number).hex().upper()}),
        "signed" if is_open else "confirmed",
        "OPEN" if is_open else "REJECTED" if is_rejected else "ACCEPTED",
        1,
        at_ms,
        None if is_open else at_ms + 400,
        RARE if is_rare else wallet(number // PER_WALLET),
        RARE if is_rare else caller,
        RARE if is_rare else "small sums",
        f"request-{number:027d}",
        f"key-{number:032d}",
    )


def wallet(number: int) -> str:
    return f"wallet-{number:08d}"


def account(number: int) -> str:
    return f"account-{number:052d}"


def load_trail(connection: Connection, key: TrailKey, count: int) -> None:
    """A whole audit trail of `count` signatures: chained, and with heads that fit."""
    keys, ends = keys_of(key), {lane: End(lane=lane) for lane in range(LANES)}
    rows = []
    for sequence in range(1, count + 1):
        end, number = ends[sequence % LANES], sequence - 1
        said = {"hash": payment_id(number).hex().upper(), "kind": "SEND", "amountRaw": str(10**9 + number)}
        content = Content(
            at_ms=BORN_MS + 1000 * number,
            principal=f"token:caller-{number % PRINCIPALS}",
            action="sign",
            subject=RARE if number < RARE_PAYMENTS else account(number // PER_WALLET),
            details=json.dumps(said),
        )
        own = row_hash(keys, end, content)
        rows.append(
            (
                sequence,
                content.at_ms,
                content.principal,
                content.action,
                content.subject,
                content.details,
                end.hash,
                own,
                end.lane,
                end.number + 1,
            )
        )
        ends[end.lane] = End(lane=end.lane, number=end.number + 1, sequence=sequence, hash=own)
    columns = "sequence at_ms principal action subject details previous_hash hash lane number"
    put(connection, tables.audit, columns, rows)
    heads = tables.audit_lane
    for head in [End(lane=row.lane) for row in connection.execute(heads.select())]:
        end = ends.get(head.lane, head)
        values = {
            "number": end.number,
            "sequence": end.sequence,
            "hash": end.hash,
            "tag": head_tag(keys, end),
            "at_ms": BORN_MS,
        }
        connection.execute(heads.update().where(heads.c.lane == end.lane).values(values))


def load_webhooks(connection: Connection, count: int) -> None:
    """An endpoint that took most of it and is slow now: a hundredth is dead, and the newest tenth waits."""
    columns = "id name shown_url kinds wallets sealed state created_at_ms created_by version"
    endpoint = (ENDPOINT, "shop", "https://shop.example/", "[]", "[]", b"sealed", "ACTIVE", BORN_MS, "ann", 1)
    put(connection, webhook, columns, [endpoint])
    put(
        connection,
        event,
        "endpoint event kind stream payload created_at_ms state attempts due_at_ms status ended_at_ms payment",
        (_event(number, count) for number in range(count)),
    )


def _event(number: int, count: int) -> Values:
    at_ms = BORN_MS + 1000 * number
    state = "waiting" if number >= count - count // 10 else "dead" if number % 100 == 99 else "delivered"
    document = json.dumps(
        {"id": payment_id(number).hex(), "amountRaw": "5", "wallet": wallet(number), "state": "ACCEPTED"}
    )
    is_over = state != "waiting"
    return (
        ENDPOINT,
        f"event-{number:034d}",
        "payment.accepted",
        account(number // PER_WALLET),
        document,
        at_ms,
        state,
        int(is_over),
        at_ms,
        200 if is_over else None,
        at_ms + 50 if is_over else None,
        payment_id(number),
    )


def load_requests(connection: Connection, count: int) -> None:
    """Keys of requests that were answered, buckets of rates, windows of rules, tokens with their uses, and a short outbox."""
    put(
        connection,
        tables.idempotency,
        "scope key fingerprint owner reference status body created_at_ms expires_at_ms",
        (
            (
                f"token:caller-{number % PRINCIPALS}",
                f"key-{number:032d}",
                digest("request", number),
                "process-1",
                payment_id(number).hex(),
                200,
                json.dumps({"hash": payment_id(number).hex(), "height": number}),
                BORN_MS + 1000 * number,
                BORN_MS + 1000 * number + 7 * 86_400_000,
            )
            for number in range(count)
        ),
    )
    put(
        connection,
        tables.rate,
        "id full_at_us",
        ((digest("rate", one), BORN_MS) for one in range(count // 10)),
    )
    spent = "60 6000|28333333 1 100|" + "28333300 1 100|" * 59
    put(
        connection,
        tables.window,
        "id rule subject spent updated_at_ms",
        (
            (digest("window", one), "rule-1", wallet(one), spent, BORN_MS)
            for one in range(count // PER_WALLET)
        ),
    )
    put(
        connection,
        tables.token,
        "id name secret_hash scopes created_at_ms",
        (
            (f"{one:016x}", f"name-{one}", digest("secret", one), '["*"]', BORN_MS)
            for one in range(count // 1000)
        ),
    )
    put(
        connection,
        tables.token_use,
        "token used_at_ms source",
        ((f"{one:016x}", BORN_MS, "192.0.2.7") for one in range(count // 1000)),
    )
    put(
        connection,
        tables.outbox,
        "destination stream sequence payload created_at_ms",
        (("example", account(one % 10), one, '{"height":1}', BORN_MS + one) for one in range(WAITING)),
    )
