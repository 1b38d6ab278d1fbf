"""Checks sets of weights, sets or commits them, and reveals what was committed."""
