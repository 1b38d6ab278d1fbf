"""Tags of jobs of the background: the service signs for those that it accepted, not for what another program wrote into the table.

    HMAC-SHA256(key, id, principal, Idempotency-Key, kind, fingerprint, subject, when, what is to be done with whose rights)

A job that was done and is put back as it waited ends with its tempo, as it would have then; meanwhile it says nothing new.
"""

from dataclasses import dataclass, replace
from typing import Final

import msgspec

from strongroom.bittensor.jobs.job import APPROVAL, REFUSAL, Job
from strongroom.core.errors import Conflict
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.rows.tag import Value, is_tag, row_tag
from strongroom.core.security.rows.tokens import PURPOSE
from strongroom.core.storage.database import Database

TABLE: Final = "strongroom_bittensor_job"
TAG: Final = "tag"
"""In a job's document."""
NOTES: Final = frozenset({APPROVAL, REFUSAL, TAG})
"""What of a document changes while the job waits, and decides nothing."""
ALTERED_CODE: Final = "job_altered"
_encoder = msgspec.json.Encoder(order="sorted")


class JobTags:
    def __init__(self, key: TrailKey) -> None:
        self._key = key

    def tagged(self, job: Job) -> Job:
        """The job with the tag that it waits with. Raises: Sealed."""
        return replace(job, document={**job.document, TAG: self._tag(job).hex()})

    def require_good(self, job: Job) -> None:
        """Raises: Conflict: the service did not accept the job as it is. Sealed: that cannot be told now."""
        try:
            stored = bytes.fromhex(job.document.get(TAG) or "")
        except (TypeError, ValueError):
            stored = b""
        if not is_tag(stored, self._tag(job)):
            raise Conflict(
                "The service did not accept this job as it is in the database: another program wrote or changed it, or an"
                " earlier version of the service accepted it. Ask for the weights again",
                code=ALTERED_CODE,
            )

    def _tag(self, job: Job) -> bytes:
        document = {name: value for name, value in job.document.items() if name not in NOTES}
        columns: dict[str, Value] = {
            "principal": job.principal,
            "idempotency_key": job.key,
            "kind": job.kind,
            "fingerprint": job.fingerprint,
            "subject": job.subject,
            "created_at_ms": job.created_at_ms,
            "document": _encoder.encode(document),
        }
        return row_tag(self._key.derive(PURPOSE), TABLE, job.id, 0, columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStore:
    """Where jobs are, and what tells those that the service accepted from others."""

    database: Database
    tags: JobTags
