"""`set_weights` through the service, with the local wallet as the fallback.

The client applies these rules, in this order:

1. If an earlier request of this slot (hotkey, subnet, mechanism) has no known outcome, the client follows it first. Until its outcome
   is known, it signs nothing else for the slot. A request that the service does not know may still arrive, or be in its queue: for a
   while the client asks only the service, which has one set in flight at a time.
2. The client probes the service with a request that signs nothing. If that fails, nothing was signed, and the local wallet may sign.
3. The client stores the request, then sends it. Only an answer that says `submitted: false`, or no connection at all, proves that
   nothing was signed, so that the local wallet may sign. A refusal is an answer, and it is final.
4. If there is no answer, the client asks the service for the outcome of the request, by its Idempotency-Key.
"""

import hashlib
import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from strongroom.bittensor.client.breaker import Breaker
from strongroom.bittensor.client.journal import Journal, Pending
from strongroom.bittensor.client.local import BLOCK_S, LOCAL_PERIOD_BLOCKS, LocalWallet
from strongroom.bittensor.client.result import Fate, Result, not_sent, of_service, unknown
from strongroom.bittensor.client.service import Service, reason
from strongroom.bittensor.client.transport import NoAnswer, NotDelivered, ServiceResponse
from strongroom.core.clock import Clock, Entropy

log = logging.getLogger(__name__)

PATH = "/wallet/set_weights"
KEY_BYTES = 16
FOLLOW_PAUSE_S = 1.0
TRIES = 2
UNTOLD = "the wallet service did not tell the outcome of the request: the next call follows it"
AWAY = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    answer_s: float = 90.0
    """Seconds to wait for the service's answer."""
    follow_s: float = 60.0
    """Seconds for which the client asks what became of a request whose answer was lost."""
    arrival_s: float = 180.0
    """Seconds after its sending in which a request that the service does not know may still be signed there."""
    hold_s: float = 3600.0
    """How long a lost request keeps the slot when the service cannot be asked: its job and its era are over then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    wallet_name: str
    hotkey_name: str
    transaction_data: dict[str, Any]
    local: LocalWallet | None = field(default=None, compare=False)
    earlier: Pending | None = field(default=None, compare=False)
    """A request that may yet arrive."""

    @property
    def slot(self) -> str:
        data = self.transaction_data
        return f"{self.wallet_name}/{self.hotkey_name}/{data['netuid']}/{data.get('mechid', 0)}"

    @property
    def document(self) -> dict[str, Any]:
        return {
            "wallet_name": self.wallet_name,
            "hotkey_name": self.hotkey_name,
            "transaction_data": self.transaction_data,
        }

    @property
    def digest(self) -> str:
        data = {name: self.transaction_data[name] for name in ("netuid", "uids", "weights", "version_key")}
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


class WeightSetter:
    """Thread-safe; one request at a time for a slot."""

    def __init__(
        self,
        service: Service,
        journal: Journal,
        breaker: Breaker,
        *,
        clock: Clock,
        entropy: Entropy,
        patience: Patience,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._service = service
        self._journal = journal
        self._breaker = breaker
        self._clock = clock
        self._entropy = entropy
        self._patience = patience
        self._pause = pause
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def set_weights(self, request: Request) -> Result:
        with self._turns[request.slot]:
            earlier = self._settle_earlier(request)
            return earlier if isinstance(earlier, Result) else self._ask(replace(request, earlier=earlier))

    def _settle_earlier(self, request: Request) -> Result | Pending | None:
        """The result of this call that follows from an earlier one, or the earlier one if it may still arrive; None: the slot is free."""
        pending = self._journal.get(request.slot)
        if pending is None:
            return None
        if self._clock.now_ms() >= pending.until_ms:
            self._journal.remove(request.slot)
            return None
        if not pending.key:
            seconds = (pending.until_ms - self._clock.now_ms()) // 1000 + 1
            return not_sent(
                f"the local wallet's last attempt may still be included: ask again in {seconds} s"
            )
        result = self._follow(pending, self._patience.follow_s)
        if result is None:
            return unknown(
                "an earlier request for these weights may have been signed and the wallet service cannot be"
                " asked about it: nothing was sent"
            )
        return self._followed(request, pending, result)

    def _followed(self, request: Request, pending: Pending, result: Result) -> Result | Pending | None:
        """As `_settle_earlier`, from what the service says about the earlier request."""
        arrives_until_ms = pending.sent_ms + self._patience.arrival_s * 1000
        if result.fate is Fate.NOT_SENT and self._clock.now_ms() < arrives_until_ms:
            return pending
        is_same = pending.digest == request.digest
        if result.fate is Fate.UNKNOWN and is_same:
            return (
                result  # it is in a block, and so are these weights; the note stays, lest they are set again
            )
        self._journal.remove(request.slot)
        return result if result.fate is Fate.ACCEPTED and is_same else None

    def _ask(self, request: Request) -> Result:
        if not self._breaker.allows():
            return self._fall_back(request, "it was away a moment ago")
        why = self._service.probe()
        if why is not None:
            return self._away(request, why)
        now_ms = self._clock.now_ms()
        pending = Pending(
            key=self._key_for(request),
            digest=request.digest,
            until_ms=now_ms + int(self._patience.hold_s * 1000),
            sent_ms=now_ms,
        )
        self._journal.put(request.slot, pending)
        try:
            answer = self._service.submit(PATH, request.document, pending.key, self._patience.answer_s)
        except NotDelivered as error:
            self._free(request)
            return self._away(request, str(error))
        except NoAnswer as error:
            log.warning("the wallet service did not answer (%s): asking what became of the request", error)
            return self._lost(request, pending)
        return self._answered(request, pending, answer)

    def _key_for(self, request: Request) -> str:
        """A new key, or that of an earlier request for the same weights: if both arrive, the service takes them for one."""
        earlier = request.earlier
        if earlier is not None and earlier.digest == request.digest:
            return earlier.key
        return self._entropy.token(KEY_BYTES).hex()

    def _answered(
        self, request: Request, pending: Pending, answer: ServiceResponse, *, tries: int = TRIES
    ) -> Result:
        if answer.status in AWAY and answer.document.get("submitted") is False:
            if tries < TRIES:  # it speaks of this copy of the request; the one before may yet arrive
                return unknown(UNTOLD)
            self._free(request)
            return self._away(request, reason(answer))
        if not _is_final(answer):
            return self._lost(request, pending, tries=tries)
        if answer.status == HTTPStatus.OK:
            self._end(request, pending)
        elif tries == TRIES:  # a refusal, too, speaks of this copy alone
            self._free(request)
        self._breaker.worked()
        return _refused_or_done(answer)

    def _lost(self, request: Request, pending: Pending, *, tries: int = TRIES) -> Result:
        result = self._follow(pending, self._patience.follow_s)
        if result is not None and result.fate is Fate.NOT_SENT and tries > 0:
            try:  # the same key: should the first one still arrive, both are one request
                answer = self._service.submit(PATH, request.document, pending.key, self._patience.answer_s)
            except (NotDelivered, NoAnswer) as error:
                log.warning("the wallet service did not answer again: %s", error)
                return unknown(UNTOLD)
            return self._answered(request, pending, answer, tries=tries - 1)
        if result is None or result.fate is Fate.NOT_SENT:
            return unknown(UNTOLD)
        if result.fate is not Fate.UNKNOWN:
            self._end(request, pending)
        return result

    def _end(self, request: Request, pending: Pending) -> None:
        """Frees the slot, because the service has told the outcome of the request, whichever copy of it arrived."""
        if request.earlier is not None and request.earlier.key == pending.key:
            self._journal.remove(request.slot)
        else:
            self._free(request)

    def _free(self, request: Request) -> None:
        """Frees the slot of a copy that was not accepted; an earlier request keeps the slot."""
        if request.earlier is None:
            self._journal.remove(request.slot)
        else:
            self._journal.put(request.slot, request.earlier)

    def _follow(self, pending: Pending, follow_s: float) -> Result | None:
        """The outcome of a request, or None if it cannot be found out. A request that never arrived was not sent."""
        end_s = self._clock.monotonic_s() + follow_s
        while True:
            try:
                answer = self._service.job(pending.key)
            except (NotDelivered, NoAnswer) as error:
                log.warning("cannot ask what became of the request: %s", error)
                return None
            if answer.status == HTTPStatus.NOT_FOUND:
                return not_sent("the request never reached the wallet service")
            ended = _ended(answer)
            if ended is not None:
                return ended
            if self._clock.monotonic_s() >= end_s:
                return None
            self._pause(FOLLOW_PAUSE_S)

    def _away(self, request: Request, why: str) -> Result:
        self._breaker.failed()
        return self._fall_back(request, why)

    def _fall_back(self, request: Request, why: str) -> Result:
        missing = "no local wallet was given" if request.local is None else request.local.missing()
        if request.earlier is not None:
            missing = "an earlier request may yet reach it"
        if request.local is None or missing is not None:
            log.warning(
                "the wallet service at %s is unavailable (%s), and %s", self._service.url, why, missing
            )
            return not_sent(f"the wallet service is unavailable ({why}), and {missing}")
        log.warning(
            "the wallet service at %s is unavailable (%s): falling back to the local wallet",
            self._service.url,
            why,
        )
        hold_ms = (LOCAL_PERIOD_BLOCKS + 2) * BLOCK_S * 1000
        self._journal.put(request.slot, Pending("", request.digest, self._clock.now_ms() + hold_ms))
        result = request.local.set_weights({**request.transaction_data, "period": LOCAL_PERIOD_BLOCKS})
        if result.fate is not Fate.UNKNOWN:
            self._journal.remove(request.slot)
        return result


def _is_final(answer: ServiceResponse) -> bool:
    """Returns whether the answer says what became of the request. A proxy's error page, or any 5xx, does not."""
    if answer.status == HTTPStatus.OK:
        return isinstance(answer.document.get("success"), bool)
    return HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR


def _refused_or_done(answer: ServiceResponse) -> Result:
    if answer.status == HTTPStatus.OK:
        return of_service(answer.document)
    message = f"the wallet service refused: {reason(answer)}"
    return Result(
        success=False,
        message=message,
        fate=Fate.REFUSED,
        source="service",
        error=answer.document,
        data=answer.document,
    )


def _ended(answer: ServiceResponse) -> Result | None:
    """The result of a job that has ended."""
    outcome = answer.document.get("result")
    if answer.status == HTTPStatus.OK and isinstance(outcome, dict):
        return of_service(outcome)
    return None
