"""Accounts that call for others. Importing this registers the calls."""

from strongroom_sandbox.bittensor.pallets.proxies import announcements, proxies

__all__ = ["announcements", "proxies"]
