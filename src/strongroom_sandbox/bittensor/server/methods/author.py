"""`author_*`: submitted extrinsics, and their status."""

from typing import Any

from strongroom_sandbox.bittensor.codec.scale import ScaleError
from strongroom_sandbox.bittensor.execution.dispatch import PanicError
from strongroom_sandbox.bittensor.execution.extrinsics import Extrinsic
from strongroom_sandbox.bittensor.execution.failures import PoolRefusal
from strongroom_sandbox.bittensor.node.faults import Wording
from strongroom_sandbox.bittensor.node.pool import ENDS, BannedError, KnownError, LowPriorityError, Watcher
from strongroom_sandbox.bittensor.server.refusals import bad_format, refused
from strongroom_sandbox.bittensor.server.rpc import RpcError, Session, method, read_hex, write_hex

BANNED, KNOWN, LOW_PRIORITY = 1012, 1013, 1014
LOW_PRIORITY_REASON = (
    "The transaction has too low priority to replace another transaction already in the pool."
)


@method("author_submitExtrinsic")
def submit(session: Session, raw: Any) -> str:
    return write_hex(_submit(session, raw, None).hash)


@method("author_submitAndWatchExtrinsic")
def submit_and_watch(session: Session, raw: Any) -> str:
    def tell(status: Any) -> None:
        recorded = session.node.faults.wording is Wording.RECORDED
        worded = {status: None} if recorded and isinstance(status, str) else status
        session.notify(name, "author_extrinsicUpdate", worded)
        if (status if isinstance(status, str) else next(iter(status))) in ENDS:
            session.unsubscribe(name)

    name = session.subscribe(lambda: session.node.pool.forget(tell))
    try:
        _submit(session, raw, tell)
    except RpcError:
        session.unsubscribe(name)
        raise
    return name


@method("author_unwatchExtrinsic")
def unwatch(session: Session, name: Any) -> bool | None:
    known = session.unsubscribe(name)
    return None if session.node.faults.wording is Wording.RECORDED else known


@method("author_pendingExtrinsics")
def pending(session: Session) -> list[str]:
    return [write_hex(entry.extrinsic.raw) for entry in session.node.pool.waiting.values()]


def _submit(session: Session, raw: Any, watcher: Watcher | None) -> Extrinsic:
    wording = session.node.faults.wording
    try:
        return session.node.submit(read_hex(raw), watcher)
    except (ScaleError, PanicError) as error:
        raise bad_format(error, wording) from error
    except PoolRefusal as refusal:
        raise refused(refusal, wording) from refusal
    except BannedError:
        raise RpcError(BANNED, "Transaction is temporarily banned") from None
    except KnownError as error:
        raise RpcError(KNOWN, "Transaction Already Imported", str(error)) from None
    except LowPriorityError as error:
        raise RpcError(LOW_PRIORITY, f"Priority is too low: {error}", LOW_PRIORITY_REASON) from None
