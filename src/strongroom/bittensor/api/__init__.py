"""The wire surface: what the subnet project's manager offered, and the calls to the chain."""
