"""Calls other than weights, and signatures for SDKs that hold no key."""
