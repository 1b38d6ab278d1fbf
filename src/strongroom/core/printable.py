"""Takes the commands for a terminal out of texts that others wrote."""

import unicodedata


def harmless(text: str) -> str:
    """The text with a mark in place of each control character but tabs and ends of lines."""
    if text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if _commands(letter) else letter for letter in text)


def _commands(letter: str) -> bool:
    return letter not in "\n\t" and unicodedata.category(letter) == "Cc"
