"""Submits calls other than weights, and signs messages and extrinsics for SDKs that hold no key."""
