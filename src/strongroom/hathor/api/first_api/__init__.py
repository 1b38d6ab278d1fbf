"""The original's first API, where it is turned on."""
