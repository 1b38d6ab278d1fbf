"""Blocks, which of them are on the best branch, and the file that keeps them."""
