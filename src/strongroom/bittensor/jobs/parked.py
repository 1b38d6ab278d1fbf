"""What waits for approvals: the documents with which the service carries a request out when people have approved it.

A request of the foreground is told that it waits, and carried out from its document. A job of the background waits as for its rate
limit: the runner tries it again, and signs when it is approved.
"""

from typing import Any

import msgspec
from sqlalchemy import Connection, update

from strongroom.bittensor import tables
from strongroom.bittensor.jobs.job import APPROVAL, REFUSAL, Job
from strongroom.core.errors import Forbidden
from strongroom.core.security.policy import Deferral

_columns = tables.job.c


class ParkedWeights(msgspec.Struct, frozen=True, kw_only=True, tag_field="form", tag="weights"):
    wallet: str
    hotkey: str
    netuid: int
    mechid: int
    uids: tuple[int, ...]
    values: tuple[int, ...]
    version_key: int
    asked_at_ms: int
    last_update: int
    """The block of the weights that the hotkey had then."""
    key: str | None


class ParkedCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="form", tag="call"):
    wallet: str
    hotkey: str
    request: str
    """The name of the request's class."""
    body: dict[str, Any]


class ParkedJob(msgspec.Struct, frozen=True, kw_only=True, tag_field="form", tag="job"):
    job: str


Parked = ParkedWeights | ParkedCall | ParkedJob


def deferral_of(job: Job, parked: Parked) -> Deferral:
    """What at most one waiting request has: a job of the background itself, weights what they are, a call its Idempotency-Key.

    Nodes ask for the same weights under a new key after each refusal, and people should see them once.
    """
    document: dict[str, Any] = msgspec.to_builtins(parked)
    if isinstance(parked, ParkedJob):
        return Deferral(key=f"job {job.id}", document=document)
    key = None if isinstance(parked, ParkedWeights) else job.key
    return Deferral(key=key, document=document, approval=job.document.get(APPROVAL))


def note_approval(connection: Connection, job: Job, approval: str) -> None:
    """Notes for a job of the background that it waits for people."""
    _note(connection, job, {**_without(job, REFUSAL), APPROVAL: approval})


def note_refusal(connection: Connection, job: Job, error: Forbidden) -> None:
    """Notes for a job of the background why it is not signed yet."""
    _note(connection, job, {**job.document, REFUSAL: {"code": error.instance_code, "detail": error.message}})


def forget_refusal(connection: Connection, job: Job) -> None:
    """Nothing refused the last try."""
    _note(connection, job, _without(job, REFUSAL))


def _without(job: Job, name: str) -> dict[str, Any]:
    return {key: value for key, value in job.document.items() if key != name}


def _note(connection: Connection, job: Job, changed: dict[str, Any]) -> None:
    if changed == job.document:
        return
    document = msgspec.json.encode(changed).decode()
    connection.execute(
        update(tables.job)
        .where(_columns.id == job.id, _columns.is_open, _columns.extrinsic.is_(None))
        .values(document=document)
    )
