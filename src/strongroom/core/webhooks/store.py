"""Stores and loads endpoints. Every function runs in the caller's transaction."""

from dataclasses import replace
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, func, select, update

from strongroom.core.errors import Conflict, NotFound
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage.database import locking
from strongroom.core.storage.errors import Duplicate
from strongroom.core.webhooks import tables
from strongroom.core.webhooks.endpoint import Endpoint, EndpointState, Wanted

MAX_ENDPOINTS: Final = 64
_COLUMNS = tables.webhook.c
_ALL = select(tables.webhook).order_by(_COLUMNS.created_at_ms, _COLUMNS.id)
_BY_NAME = select(tables.webhook).where(
    (_COLUMNS.name == bindparam("wanted")) | (_COLUMNS.id == bindparam("wanted"))
)


def load_endpoints(connection: Connection) -> list[Endpoint]:
    """The oldest first."""
    return [_endpoint(row) for row in connection.execute(_ALL)]


def find_endpoint(connection: Connection, name: str, *, lock: bool = False) -> Endpoint:
    """By its name or id. Raises: NotFound."""
    query = locking(_BY_NAME) if lock else _BY_NAME
    row = connection.execute(query, {"wanted": name}).first()
    if row is None:
        raise NotFound(f"No endpoint of webhooks is called {name[:64]!r}", code="webhook_not_found")
    return _endpoint(row)


def insert_endpoint(connection: Connection, endpoint: Endpoint) -> None:
    """Raises: Conflict: the name is taken, or there are too many."""
    if (connection.execute(select(func.count()).select_from(tables.webhook)).scalar() or 0) >= MAX_ENDPOINTS:
        raise Conflict(f"There are {MAX_ENDPOINTS} endpoints: remove one", code="too_many_webhooks")
    try:
        connection.execute(tables.webhook.insert(), _values(endpoint))
    except Duplicate:
        raise Conflict(f"An endpoint is called {endpoint.name!r} already", code="webhook_exists") from None


def update_endpoint(connection: Connection, endpoint: Endpoint) -> Endpoint:
    """Stores it as its next version."""
    changed = replace(endpoint, version=endpoint.version + 1)
    connection.execute(update(tables.webhook).where(_COLUMNS.id == endpoint.id).values(**_values(changed)))
    return changed


def delete_endpoint(connection: Connection, endpoint_id: str) -> None:
    connection.execute(delete(tables.webhook).where(_COLUMNS.id == endpoint_id))


def _values(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "name": endpoint.name,
        "shown_url": endpoint.shown_url,
        "kinds": msgspec.json.encode(endpoint.wanted.kinds).decode(),
        "wallets": msgspec.json.encode(endpoint.wanted.wallets).decode(),
        "sealed": endpoint.sealed,
        "state": endpoint.state.value,
        "reason": endpoint.reason,
        "created_at_ms": endpoint.created_at_ms,
        "created_by": endpoint.created_by,
        "version": endpoint.version,
    }


def _endpoint(row: Row[Any]) -> Endpoint:
    return Endpoint(
        id=row.id,
        name=row.name,
        shown_url=row.shown_url,
        wanted=Wanted(
            kinds=tuple(decode_json(row.kinds, list[str])), wallets=tuple(decode_json(row.wallets, list[str]))
        ),
        sealed=row.sealed,
        state=EndpointState(row.state),
        reason=row.reason,
        created_at_ms=row.created_at_ms,
        created_by=row.created_by,
        version=row.version,
    )
