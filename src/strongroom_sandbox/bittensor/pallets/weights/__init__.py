"""Weights in the clear, as a hash, and as ciphertext. Importing this registers the calls."""

from strongroom_sandbox.bittensor.pallets.weights import commit_reveal, timelocked, weights

__all__ = ["commit_reveal", "timelocked", "weights"]
