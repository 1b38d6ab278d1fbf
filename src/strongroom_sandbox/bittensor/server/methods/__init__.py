"""The JSON-RPC methods: importing this registers all of them."""

from strongroom_sandbox.bittensor.server.methods import author, chain, payment, state, system

__all__ = ["author", "chain", "payment", "state", "system"]
