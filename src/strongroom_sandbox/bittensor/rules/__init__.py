"""The rules of the subtensor chain that need no state, as pure functions."""
