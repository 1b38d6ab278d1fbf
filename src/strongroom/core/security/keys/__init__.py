"""Reads key-encryption keys from variables and files."""
