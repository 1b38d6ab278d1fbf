"""Blocks, the best branch among them, and the file that keeps them."""
