"""Keeps jobs in the database. A job gives the same request the same answer.

A request with an Idempotency-Key, and every request that keeps a slot, has one job, however often it is repeated. The transaction
that signs writes the job's row; the row of a job for the background is written when the job is accepted.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, select, update

from strongroom.bittensor import tables
from strongroom.bittensor.extrinsics.extrinsic import Extrinsic, State
from strongroom.bittensor.extrinsics.store import load
from strongroom.bittensor.jobs.job import (
    APPROVAL,
    REFUSAL,
    Job,
    JobExists,
    JobResult,
    WaitFor,
    document,
    may_pass,
    result_of,
)
from strongroom.bittensor.protocol.failures import Failure
from strongroom.core.errors import Conflict, IdempotencyMismatch
from strongroom.core.guard.approvals.withdrawal import Withdrawals
from strongroom.core.intents.intent import Intent
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage.database import locking

COLUMNS = tables.job.c
SUPERSEDED: Final = "Superseded"
_BY_ID: Final = select(tables.job).where(COLUMNS.id == bindparam("which"))
_LOCKED_BY_ID: Final = locking(_BY_ID)
_BY_KEY: Final = select(tables.job).where(
    COLUMNS.principal == bindparam("who"), COLUMNS.idempotency_key == bindparam("key")
)
_BY_SLOT: Final = select(tables.job).where(COLUMNS.slot == bindparam("slot"))


def find_job(connection: Connection, principal: str, id_or_key: str) -> Job | None:
    """Finds a job of the principal by its id or its Idempotency-Key."""
    row = connection.execute(_BY_ID, {"which": id_or_key}).first()
    if row is None or row.principal != principal:
        row = connection.execute(_BY_KEY, {"who": principal, "key": id_or_key}).first()
    return None if row is None else _job(row)


def require_new(connection: Connection, job: Job) -> None:
    """Checks that the job may begin, or is stored itself.

    Raises:
        JobExists: the same request came before under this key, or is under way. What is refused in the background is not: who
            waits for an answer is told the refusal itself.
        IdempotencyMismatch: another request came before under this key.
        Conflict: another job is under way for the same subject, and no block holds its extrinsic yet.
    """
    if job.key is not None:
        row = connection.execute(_BY_KEY, {"who": job.principal, "key": job.key}).first()
        if row is not None and row.id != job.id:
            if row.fingerprint != job.fingerprint:
                raise IdempotencyMismatch("This Idempotency-Key was used for a request with other content")
            raise JobExists(_job(row))
    if job.subject is not None:
        row = connection.execute(_BY_SLOT, {"slot": job.subject}).first()
        if row is not None and row.id != job.id:
            if row.fingerprint == job.fingerprint and (job.in_background or not _is_refused(row)):
                raise JobExists(_job(row))
            if not _gives_way(connection, row):
                raise Conflict(
                    f"Other weights of this hotkey are under way for this subnet: job {row.id}",
                    code="weights_in_flight",
                )


def _gives_way(connection: Connection, row: Row[Any]) -> bool:
    return _is_in_block(connection, row) or _is_held_up(row)


def _is_held_up(row: Row[Any]) -> bool:
    """Tells whether a job of the background is not signed because people have not approved it, or because it is refused.

    Newer weights take its place.
    """
    return _is_unsigned(row) and not {APPROVAL, REFUSAL}.isdisjoint(decode_json(row.document))


def _is_refused(row: Row[Any]) -> bool:
    return _is_unsigned(row) and REFUSAL in decode_json(row.document)


def _is_unsigned(row: Row[Any]) -> bool:
    return bool(row.in_background and row.extrinsic is None)


def _is_in_block(connection: Connection, row: Row[Any]) -> bool:
    """Tells whether another job may follow: its higher nonce puts it after this one, even if the block vanishes."""
    extrinsic = None if row.extrinsic is None else load(connection, row.extrinsic)
    return extrinsic is not None and extrinsic.state is State.IN_BLOCK


def require_waiting(connection: Connection, job: Job) -> None:
    """Checks that a job of the background still waits. The caller has locked its account.

    Raises:
        JobExists: another process carried it out while this one stood still.
    """
    row = connection.execute(_BY_ID, {"which": job.id}).first()
    if row is None or not row.is_open or row.extrinsic is not None:
        raise JobExists(job)


def put_job(connection: Connection, job: Job, withdrawals: Withdrawals) -> None:
    """Stores a new job, or the extrinsic and the document of a stored one.

    `require_new` comes first, in the same transaction: a job whose extrinsic is in a block gives up its slot.
    Nobody has to decide any more about a job whose place this one takes.
    """
    ended = _take_slot(connection, job)
    _write_job(connection, job)
    if ended is not None:
        _withdraw(connection, ended, SUPERSEDED, withdrawals)


def _write_job(connection: Connection, job: Job) -> None:
    values = {
        "document": msgspec.json.encode(job.document).decode(),
        "extrinsic": job.extrinsic,
        "is_open": True,
        "slot": job.subject,
        "result": None,
    }
    if connection.execute(update(tables.job).where(COLUMNS.id == job.id).values(values)).rowcount:
        return
    connection.execute(
        tables.job.insert(),
        {
            "id": job.id,
            "principal": job.principal,
            "idempotency_key": job.key,
            "fingerprint": job.fingerprint,
            "kind": job.kind,
            "subject": job.subject,
            "in_background": job.in_background,
            "wait_for": job.wait_for.value,
            "created_at_ms": job.created_at_ms,
            **values,
        },
    )


def stored_with(job: Job, withdrawals: Withdrawals) -> Callable[[Connection, Intent], None]:
    """Returns a function that stores the job with the extrinsic that is signed for it, as `put_job`."""
    return lambda connection, intent: put_job(connection, replace(job, extrinsic=intent.id), withdrawals)


def _take_slot(connection: Connection, job: Job) -> str | None:
    """Takes the slot from a job that may give it up; returns the id of the one that ends by it. A job that took it after `require_new` keeps it; then the insertion fails."""
    row = None if job.subject is None else connection.execute(_BY_SLOT, {"slot": job.subject}).first()
    if row is None or row.id == job.id:
        return None
    if _is_held_up(row):
        failure = Failure(
            type="Service", name=SUPERSEDED, docs="Newer weights were asked for before it was signed"
        )
        return str(row.id) if _close_waiting(connection, _job(row), failure) else None
    if _is_in_block(connection, row):
        connection.execute(update(tables.job).where(COLUMNS.id == row.id).values(slot=None))
    return None


def close_job(connection: Connection, job_id: str, result: dict[str, Any]) -> None:
    connection.execute(
        update(tables.job)
        .where(COLUMNS.id == job_id, COLUMNS.is_open)
        .values(is_open=False, slot=None, result=msgspec.json.encode(result).decode())
    )


def close_waiting(connection: Connection, job: Job, failure: Failure, withdrawals: Withdrawals) -> None:
    """Closes a job of the background that still waits as it was read; nobody has to decide about it any more."""
    if _close_waiting(connection, job, failure):
        _withdraw(connection, job.id, failure.name, withdrawals)


def _close_waiting(connection: Connection, job: Job, failure: Failure) -> bool:
    """False: another process has signed for it meanwhile, or a commit that is signed again has changed its reveal."""
    row = connection.execute(_LOCKED_BY_ID, {"which": job.id}).first()
    if row is None or not row.is_open or row.extrinsic is not None or _job(row).document != job.document:
        return False
    close_job(connection, job.id, document(job, success=False, failure=failure))
    return True


def _withdraw(connection: Connection, job_id: str, why: str, withdrawals: Withdrawals) -> None:
    withdrawals.withdraw(connection, {"job": job_id}, f"The job {job_id} has ended: {why}")


def retry_job(connection: Connection, job_id: str) -> None:
    """Hands the job back to the runner, because its extrinsic is dead."""
    connection.execute(update(tables.job).where(COLUMNS.id == job_id, COLUMNS.is_open).values(extrinsic=None))


def waiting_jobs(connection: Connection) -> list[Job]:
    """Reads the jobs that the runner has to carry out, the oldest first."""
    query = (
        select(tables.job)
        .where(COLUMNS.is_open, COLUMNS.in_background, COLUMNS.extrinsic.is_(None))
        .order_by(COLUMNS.created_at_ms)
    )
    return [_job(row) for row in connection.execute(query)]


def last_job(connection: Connection, subject: bytes) -> Job | None:
    """Reads the newest job of a subject."""
    query = (
        select(tables.job).where(COLUMNS.subject == subject).order_by(COLUMNS.created_at_ms.desc()).limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else _job(row)


def last_extrinsic(connection: Connection, job: Job) -> Extrinsic | None:
    """Reads the extrinsic of the newest other job of the same subject."""
    query = (
        select(COLUMNS.extrinsic)
        .where(COLUMNS.subject == job.subject, COLUMNS.id != job.id)
        .order_by(COLUMNS.created_at_ms.desc())
        .limit(1)
    )
    found = connection.execute(query).scalar()
    return None if found is None else load(connection, found)


def answer(connection: Connection, job: Job) -> JobResult:
    extrinsic = None if job.extrinsic is None else load(connection, job.extrinsic)
    return JobResult(job=job, extrinsic=extrinsic, result=result_of(job, extrinsic))


def load_job(connection: Connection, job_id: str) -> Job | None:
    row = connection.execute(_BY_ID, {"which": job_id}).first()
    return None if row is None else _job(row)


def on_resolved(connection: Connection, extrinsic: Extrinsic) -> None:
    """Closes the job of an extrinsic whose outcome is known, or hands it back to the runner."""
    row = connection.execute(_BY_ID, {"which": extrinsic.job}).first()
    if row is None or row.extrinsic != extrinsic.hash or not row.is_open:
        return
    job = _job(row)
    if extrinsic.state is State.WITHDRAWN and not job.in_background:
        connection.execute(
            delete(tables.job).where(COLUMNS.id == job.id)
        )  # nothing left this process, so its Idempotency-Key is free again
        return
    was_followed = job.subject is not None and row.slot is None  # older weights must not replace newer ones
    if job.in_background and may_pass(extrinsic) and not was_followed:
        retry_job(connection, job.id)
        return
    close_job(connection, job.id, result_of(job, extrinsic) or {})


def _job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        principal=row.principal,
        key=row.idempotency_key,
        fingerprint=row.fingerprint,
        kind=row.kind,
        subject=row.subject,
        document=decode_json(row.document),
        in_background=row.in_background,
        wait_for=WaitFor(row.wait_for),
        created_at_ms=row.created_at_ms,
        is_open=row.is_open,
        extrinsic=row.extrinsic,
        result=None if row.result is None else decode_json(row.result),
    )
