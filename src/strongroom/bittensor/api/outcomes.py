"""Answers with the result of a call, or tells where to ask for it."""

from typing import Any, Final

from litestar import Response

from strongroom.bittensor.jobs.job import APPROVAL, REFUSAL, JobResult

WAITING: Final = "waiting"


def call_answer(answer: JobResult) -> Response[dict[str, Any]]:
    """Answers 200 with the result, or 202 and where to ask for it."""
    if answer.result is not None:
        return Response(answer.result, status_code=200)
    return Response(
        job_document(answer), status_code=202, headers={"Location": f"/wallet/jobs/{answer.job.id}"}
    )


def job_document(answer: JobResult) -> dict[str, Any]:
    job, extrinsic = answer.job, answer.extrinsic
    return {
        "job_id": job.id,
        "kind": job.kind,
        "status": _status(answer),
        "result": answer.result,
        "extrinsic_hash": None if extrinsic is None else f"0x{extrinsic.hash.hex()}",
        "nonce": None if extrinsic is None else extrinsic.nonce,
        "created_at_ms": job.created_at_ms,
        "approval_id": job.document.get(APPROVAL),
        "refusal": job.document.get(REFUSAL) if _status(answer) == WAITING else None,
    }


def _status(answer: JobResult) -> str:
    if answer.extrinsic is not None:
        return answer.extrinsic.state.value
    return "done" if answer.result is not None else WAITING
