"""Hotkeys and coldkeys: sealed in the database, or in files of the wallet folder."""
