"""Validation speaks the original's words: the samples of its own validator."""

from typing import Any

import pytest

from strongroom.hathor.api import proposals
from strongroom.hathor.api.network import node, proxies
from strongroom.hathor.api.refusal import Refusal
from strongroom.hathor.api.validation import Schema
from strongroom.hathor.api.wallets import addresses, devices, history, holdings, outputs, registration
from strongroom.hathor.protocol.addresses import MAINNET

RULES = registration.RegistrationRules(network=MAINNET, max_gap=20, max_retries=5, confirm_first_address=True)
BODIES = {
    "load": registration.registration_schema(RULES),
    "auth": registration.TOKEN,
    "checkmine": addresses.MINE,
    "prop": proposals.PROPOSAL,
}
QUERIES = {
    "idx": addresses.LIST,
    "legacy": addresses.NEW,
    "info": addresses.INFO,
    "bal": holdings.BALANCES,
    "hist": history.HISTORY,
    "txid": holdings.TRANSACTION,
    "utxo": outputs.OUTPUTS,
    "push": devices.REGISTER,
    "tok": node.TOKEN,
    "gv": proxies.GRAPH,
}


def _sample(name: str) -> tuple[Schema, bool] | None:
    kind = name.partition("_")[0]
    if kind in BODIES:
        return BODIES[kind], False
    return (QUERIES[kind], True) if kind in QUERIES else None


def test_samples_of_the_original(vectors: dict[str, Any]) -> None:
    tried = 0
    for name, sample in vectors["joi_messages"].items():
        if (chosen := _sample(name)) is None:
            continue
        schema, convert = chosen
        tried += 1
        if sample["error"] is None:
            values = schema.check(sample["input"], convert=convert)
            for key, value in sample["value"].items():
                assert key not in values or str(values[key]) == str(value), (name, key)
            continue
        with pytest.raises(Refusal) as refused:
            schema.check(sample["input"], convert=convert)
        assert refused.value.status == 400
        assert refused.value.body() == {
            "success": False,
            "error": "invalid-payload",
            "details": sample["error"],
        }, name
    assert tried > 30
