"""SCALE, hashes, and a runtime's real metadata: names in, bytes out, and back."""
