"""The calls beside those that set weights: one route each, the same envelope and the same answers as `set_weights`."""

from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar import Controller, Response, post
from litestar.di import NamedDependency
from litestar.params import Body

from strongroom.bittensor.api.outcomes import call_answer
from strongroom.bittensor.api.weights import IdempotencyKey
from strongroom.bittensor.authorization.limits import SUBMIT
from strongroom.bittensor.calls import requests
from strongroom.bittensor.calls.service import CallRequest, Calls
from strongroom.bittensor.keystore.names import DEFAULT_HOTKEY
from strongroom.core.http.route_access import needs
from strongroom.core.security.access import Principal

B = TypeVar("B", bound=requests.Body)
Answered = Response[dict[str, Any]]


class Envelope(msgspec.Struct, Generic[B], kw_only=True):
    wallet_name: str
    hotkey_name: str = DEFAULT_HOTKEY
    transaction_data: B

    def request(self, key: str | None) -> CallRequest:
        return CallRequest(
            wallet=self.wallet_name, hotkey=self.hotkey_name, body=self.transaction_data, key=key
        )


class CallsController(Controller):
    path = "/wallet"
    tags = ("Calls",)

    @post("/serve_axon", status_code=200, summary="Announce an axon", opt=needs(SUBMIT))
    async def serve_axon(
        self,
        data: Annotated[Envelope[requests.ServeAxon], Body()],
        calls: NamedDependency[Calls],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Answered:
        """Has the hotkey tell the subnet where it answers."""
        return call_answer(await calls.submit(principal, data.request(idempotency_key)))

    @post("/serve_prometheus", status_code=200, summary="Announce metrics", opt=needs(SUBMIT))
    async def serve_prometheus(
        self,
        data: Annotated[Envelope[requests.ServePrometheus], Body()],
        calls: NamedDependency[Calls],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Answered:
        """Has the hotkey tell the subnet where its metrics are."""
        return call_answer(await calls.submit(principal, data.request(idempotency_key)))

    @post("/commit_weights", status_code=200, summary="Commit to weights", opt=needs(SUBMIT))
    async def commit_weights(
        self,
        data: Annotated[Envelope[requests.CommitWeights], Body()],
        calls: NamedDependency[Calls],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Answered:
        """For callers that keep weights and salt themselves; `set_weights` commits and reveals by itself."""
        return call_answer(await calls.submit(principal, data.request(idempotency_key)))

    @post("/reveal_weights", status_code=200, summary="Reveal weights", opt=needs(SUBMIT))
    async def reveal_weights(
        self,
        data: Annotated[Envelope[requests.RevealWeights], Body()],
        calls: NamedDependency[Calls],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Answered:
        """Of a commitment that `commit_weights` made."""
        return call_answer(await calls.submit(principal, data.request(idempotency_key)))

    @post("/burned_register", status_code=200, summary="Register a hotkey", opt=needs(SUBMIT))
    async def burned_register(
        self,
        data: Annotated[Envelope[requests.BurnedRegister], Body()],
        calls: NamedDependency[Calls],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Answered:
        """The coldkey pays what the subnet burns at the moment."""
        return call_answer(await calls.submit(principal, data.request(idempotency_key)))

    @post("/add_stake", status_code=200, summary="Add stake", opt=needs(SUBMIT))
    async def add_stake(
        self,
        data: Annotated[Envelope[requests.AddStake], Body()],
        calls: NamedDependency[Calls],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Answered:
        """The coldkey stakes to the hotkey; with a limit for the price or without."""
        return call_answer(await calls.submit(principal, data.request(idempotency_key)))

    @post("/remove_stake", status_code=200, summary="Remove stake", opt=needs(SUBMIT))
    async def remove_stake(
        self,
        data: Annotated[Envelope[requests.RemoveStake], Body()],
        calls: NamedDependency[Calls],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Answered:
        """The coldkey takes stake back from the hotkey."""
        return call_answer(await calls.submit(principal, data.request(idempotency_key)))

    @post("/transfer", status_code=200, summary="Transfer TAO", opt=needs(SUBMIT))
    async def transfer(
        self,
        data: Annotated[Envelope[requests.Transfer], Body()],
        calls: NamedDependency[Calls],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Answered:
        """The coldkey pays; it keeps its existential deposit."""
        return call_answer(await calls.submit(principal, data.request(idempotency_key)))

    @post("/set_children", status_code=200, summary="Set children", opt=needs(SUBMIT))
    async def set_children(
        self,
        data: Annotated[Envelope[requests.SetChildren], Body()],
        calls: NamedDependency[Calls],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Answered:
        """The coldkey shares the hotkey's stake out to others."""
        return call_answer(await calls.submit(principal, data.request(idempotency_key)))
