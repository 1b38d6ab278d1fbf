"""Encodes and decodes SCALE values by a runtime's real metadata, and hashes storage keys."""
