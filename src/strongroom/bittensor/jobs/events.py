"""What webhooks tell of jobs, such as a set of weights."""

from typing import Final

from sqlalchemy import Connection

from strongroom.bittensor.extrinsics.effects import OnResolved
from strongroom.bittensor.extrinsics.extrinsic import Extrinsic
from strongroom.bittensor.jobs.store import load_job, on_resolved
from strongroom.bittensor.protocol.ss58 import encode_address
from strongroom.core.announcements import Announcement, Announcer

CLOSED: Final = "job.closed"
EVENTS: Final = {CLOSED: "what a client asked for is done, or failed, such as a set of weights"}


def announced_jobs(announcer: Announcer) -> OnResolved:
    """What an outcome does to its job, and the announcement of a job that is closed by it."""

    def resolved(connection: Connection, extrinsic: Extrinsic) -> None:
        on_resolved(connection, extrinsic)
        if not announcer.wants(connection, CLOSED):
            return
        job = load_job(connection, extrinsic.job)
        if job is None or job.is_open:
            return
        account = encode_address(extrinsic.public_key)
        data = {
            "id": job.id,
            "kind": job.kind,
            "principal": job.principal,
            "account": account,
            "result": job.result,
        }
        closed = Announcement(kind=CLOSED, stream=account, data=data, key=f"{job.id}:{extrinsic.hash.hex()}")
        announcer.announce(connection, [closed])

    return resolved
