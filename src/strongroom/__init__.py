"""Strongroom: one self-hosted wallet service for Atto, Hathor and Bittensor clients."""

__version__ = "0.1.0"
